"""While somebody's server starts, slots in the making stand still."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Final

from hubagent.errors import GuestError
from hubagent.pool.ports import Guests
from hubagent.pool.slots import Phase, Slots

log = logging.getLogger(__name__)

_IN_THE_MAKING: Final = frozenset({Phase.CREATING, Phase.WARMING})


class Pausing:
    """`begin` and `end` take turns. A guest that cannot be told goes on; it is in the way, but no harm is done."""

    def __init__(self, slots: Slots, guests: Guests) -> None:
        self._slots = slots
        self._guests = guests
        self._paused: list[str] = []

    def begin(self) -> None:
        self._paused = [slot.id for slot in self._slots.all() if slot.phase in _IN_THE_MAKING]
        for slot in self._paused:
            _tell(self._guests.pause, slot)

    def end(self) -> None:
        for slot in self._paused:
            _tell(self._guests.resume, slot)
        self._paused = []


def _tell(tell: Callable[[str], None], slot: str) -> None:
    try:
        tell(slot)
    except GuestError as error:
        log.warning("slot %s: %s", slot, error)
