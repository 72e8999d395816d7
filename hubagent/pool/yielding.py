"""Whoever clicks comes first: as long as users' servers start, the pool keeps out of their way.

While one starts, and a little longer, no slot is made, and slots that warm up stand still. Docker makes a slot where a
processor would rest, unless a user waits for it. Each of these is bounded, so users who never stop coming do not keep
the pool empty. Without the homes helper all goes on, only slower for who clicks beside a slot in the making.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Final

from hubagent import wire
from hubagent.errors import HomeError
from hubagent.pool import policy
from hubagent.pool.ports import Hold, Homes
from hubagent.pool.slots import Phase, Slot, Slots
from hubagent.ports import Clock

log = logging.getLogger(__name__)

STAND_STILL_AT_MOST_S: Final = wire.FREEZE_AT_MOST_S
"""In all of a slot's life."""


class Yielding:
    """Safe to use from any thread, but that one slot at a time is made."""

    def __init__(self, slots: Slots, homes: Homes, clock: Clock) -> None:
        self._starts = _Starts(clock)
        self._frozen = _FrozenSlots(slots, homes, clock)
        self._docker = _Docker(homes, clock)

    @contextmanager
    def server_starts(self) -> Iterator[None]:
        """While a user's server starts, warm or cold."""
        with self._starts.one():
            self._frozen.freeze()
            yield

    def user_needs_docker(self, *, patience_s: float = 0.0) -> AbstractContextManager[None]:
        """While a user waits for Docker. What it answers within `patience_s` is not worth the change."""
        return self._docker.of_user(patience_s=patience_s)

    def slot_in_the_making(self) -> AbstractContextManager[None]:
        """While Docker makes a slot, where a processor would rest."""
        return self._docker.of_slot()

    def busy(self) -> bool:
        """Whether a server starts, or has just started."""
        return self._starts.busy()

    def pause(self) -> bool:
        """Whether to make no slot now; see policy.pauses. Asked at each check, which also lets those slots go on that
        have stood still for long enough, and all when no server starts any more."""
        paused = self._starts.pause()
        self._frozen.release_expired(paused=paused)
        return paused

    def begun(self, slot: Slot, *, in_spite: bool) -> None:
        """This slot begins to warm up. One that was made `in_spite` of users' starts has waited for long enough."""
        if in_spite:
            self._frozen.release(slot)
        elif self._starts.busy():
            self._frozen.freeze()

    def stands_still(self, slot: Slot) -> bool:
        return self._frozen.stands_still(slot)

    def release(self, slot: Slot) -> None:
        """It is about to be offered, or removed: it goes on, and does not stand still any more."""
        self._frozen.release(slot)


class _Starts:
    """Starts of users' servers, warm and cold."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pending = 0
        self._last_s = float("-inf")
        self._waiting_since_s: float | None = None

    @contextmanager
    def one(self) -> Iterator[None]:
        with self._lock:
            self._pending += 1
        try:
            yield
        finally:
            with self._lock:
                self._pending -= 1
                self._last_s = self._clock.monotonic()

    def busy(self) -> bool:
        with self._lock:
            ended_s = self._clock.monotonic() - self._last_s
            return policy.busy(pending=self._pending, ended_s=ended_s)

    def pause(self) -> bool:
        now_s = self._clock.monotonic()
        with self._lock:
            paused_s = 0.0 if self._waiting_since_s is None else now_s - self._waiting_since_s
            paused = policy.pauses(pending=self._pending, ended_s=now_s - self._last_s, paused_s=paused_s)
            if paused:
                self._waiting_since_s = now_s if self._waiting_since_s is None else self._waiting_since_s
            else:
                self._waiting_since_s = None
            return paused


@dataclass(frozen=True, slots=True)
class _Frozen:
    hold: Hold
    since_s: float


class _FrozenSlots:
    """Slots that warm up stand still: whoever clicks has the processors.

    Bounded twice. A slot stands still for STAND_STILL_AT_MOST_S in all its life, so users who never stop coming cannot
    keep it from getting ready. And what stands still lasts as long as a connection to the homes helper, which ends with
    the agent, and with the helper, however that is.
    """

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


class _Docker:
    """In Docker, users come before slots: it makes a slot where a processor would rest, unless a user waits for it.

    A user waits for Docker when a server starts cold, ends, or has a home to be made; most claims have one short
    question, which it answers as quickly while it is idle, unless others keep all processors busy.
    """

    def __init__(self, homes: Homes, clock: Clock) -> None:
        self._homes = homes
        self._clock = clock
        self._lock = threading.Lock()
        self._users = 0
        self._until_s = float("-inf")  # Docker may be idle until then
        self._hold: Hold | None = None

    @contextmanager
    def of_slot(self) -> Iterator[None]:
        with self._lock:
            self._until_s = self._clock.monotonic() + wire.IDLE_AT_MOST_S
            self._take()
        try:
            yield
        finally:
            with self._lock:
                self._until_s = float("-inf")
                self._let_go()

    @contextmanager
    def of_user(self, *, patience_s: float) -> Iterator[None]:
        timer: threading.Timer | None = None
        with self._lock:
            self._users += 1
            if self._hold is not None and patience_s:
                timer = threading.Timer(patience_s, self._lose_patience)
                timer.start()
            else:
                self._let_go()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            with self._lock:
                self._users -= 1
                self._take()

    def _lose_patience(self) -> None:
        with self._lock:
            if self._users:  # else it was answered in just this moment
                self._let_go()

    def _take(self) -> None:
        if self._users or self._hold is not None or self._clock.monotonic() >= self._until_s:
            return
        try:
            self._hold = self._homes.idle_docker()
        except HomeError as error:
            log.warning("Docker creates a slot at its full CPU weight: %s", error)
            self._until_s = float("-inf")

    def _let_go(self) -> None:
        if self._hold is not None:
            self._hold.close()
            self._hold = None
