"""Ready slots are asked now and then whether they still are, and measured."""

from __future__ import annotations

from typing import Final

from hubagent.errors import GuestError
from hubagent.pool.ledger import Ledger
from hubagent.pool.maker import PING_S
from hubagent.pool.ports import PoolPorts
from hubagent.pool.slots import Slot

HEALTH_S: Final = 60.0
"""How often a ready slot is asked."""

STRIKES: Final = 2
"""After so many failures in a row a slot is given up: one may have met a busy moment."""

STRIKE_S: Final = 15.0
"""How soon a slot is asked again that did not answer."""


class Health:
    """Used by the keeper's thread alone. Methods raise errors.ContainerError."""

    def __init__(self, ports: PoolPorts, ledger: Ledger) -> None:
        self._containers = ports.containers
        self._guests = ports.guests
        self._clock = ports.clock
        self._ledger = ledger
        self._due_s: dict[str, float] = {}
        self._strikes: dict[str, int] = {}

    def is_ready(self, slot: Slot) -> None:
        """It has just said so."""
        self._due_s[slot.id] = self._clock.monotonic() + HEALTH_S
        self._strikes.pop(slot.id, None)
        used = self._containers.memory_bytes(slot.container)
        if used is not None:
            self._ledger.measured(slot.server, slot.id, used)

    def check(self, slot: Slot) -> str:
        """Why it has to be given up; empty when it is well, or not to be asked now."""
        if self._clock.monotonic() < self._due_s.get(slot.id, float("-inf")):
            return ""
        try:
            pong = self._guests.ping(slot.id, timeout_s=PING_S)
        except GuestError:
            pong = None
        if pong is not None and pong.ready:
            self.is_ready(slot)
            return ""
        strikes = self._strikes[slot.id] = self._strikes.get(slot.id, 0) + 1
        if strikes < STRIKES:
            self._due_s[slot.id] = self._clock.monotonic() + STRIKE_S
            return ""
        return "does not answer any more" if pong is None else f"not ready: {pong.detail}"

    def see_spares(self, slot: Slot) -> None:
        """Hear what still waits in a claimed slot."""
        try:
            spares = self._guests.spares(slot.id)
        except GuestError:
            return
        if spares is not None:
            self._ledger.spared(slot.id, spares)

    def forget(self, slot: Slot) -> None:
        self._due_s.pop(slot.id, None)
        self._strikes.pop(slot.id, None)
