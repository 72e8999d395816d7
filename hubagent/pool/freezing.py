"""Slots that warm up stand still while users' servers start: whoever clicks has the processors.

Bounded twice. A slot stands still for STAND_STILL_AT_MOST_S in all its life, so users who never stop coming cannot keep
it from getting ready. And what stands still lasts as long as a connection to the homes helper, which ends with the
agent, and with the helper, however that is.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Final

from hubagent import wire
from hubagent.errors import HomeError
from hubagent.pool.ports import Hold, Homes
from hubagent.pool.slots import Phase, Slot, Slots
from hubagent.ports import Clock

log = logging.getLogger(__name__)

STAND_STILL_AT_MOST_S: Final = wire.FREEZE_AT_MOST_S


@dataclass(frozen=True, slots=True)
class _Frozen:
    hold: Hold
    since_s: float


class Freezing:
    """Safe to use from any thread."""

    def __init__(self, slots: Slots, homes: Homes, clock: Clock) -> None:
        self._slots = slots
        self._homes = homes
        self._clock = clock
        self._lock = threading.Lock()
        self._frozen: dict[str, _Frozen] = {}
        self._left_s: dict[str, float] = {}  # by slot: for how much longer it may stand still in its life

    def freeze(self) -> None:
        """Somebody has clicked."""
        with self._lock:
            for slot in self._slots.all():
                if slot.phase is Phase.WARMING and slot.id not in self._frozen:
                    self._freeze(slot)

    def release_expired(self, *, paused: bool) -> None:
        """Let those go on that have stood still for long enough, and all when no server starts any more."""
        with self._lock:
            warming = {slot.id for slot in self._slots.all() if slot.phase is Phase.WARMING}
            now_s = self._clock.monotonic()
            for slot_id, frozen in tuple(self._frozen.items()):
                is_over = now_s - frozen.since_s >= self._left_s[slot_id]
                if is_over or not paused or slot_id not in warming:
                    self._thaw(slot_id)
            self._left_s = {slot_id: left_s for slot_id, left_s in self._left_s.items() if slot_id in warming}

    def stands_still(self, slot: Slot) -> bool:
        with self._lock:
            return slot.id in self._frozen

    def release(self, slot: Slot) -> None:
        """It is about to be offered: it goes on, and does not stand still any more."""
        with self._lock:
            if slot.id in self._frozen:
                self._thaw(slot.id)
            self._left_s[slot.id] = 0.0

    def _freeze(self, slot: Slot) -> None:
        if self._left_s.setdefault(slot.id, STAND_STILL_AT_MOST_S) <= 0.0:
            return
        try:
            self._frozen[slot.id] = _Frozen(self._homes.freeze(slot.container), self._clock.monotonic())
        except HomeError as error:
            log.warning("slot %s warms up while servers start: %s", slot.id, error)
            self._left_s[slot.id] = 0.0

    def _thaw(self, slot_id: str) -> None:
        frozen = self._frozen.pop(slot_id)
        frozen.hold.close()
        self._left_s[slot_id] -= self._clock.monotonic() - frozen.since_s
