"""A clock that tests turn by hand."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Callable


class ManualClock:
    """`ports.Clock`. Sleeping returns at once, with the time moved on.

    `later` schedules what the world does meanwhile: a service that answers 0.1 s after its reload, an edit in
    the middle of an apply. It happens when the time passes that point, in order.
    """

    def __init__(self, *, monotonic: float = 1000.0, time: float = 1_800_000_000.0) -> None:
        self._monotonic = monotonic
        self._time = time
        self._events: list[tuple[float, int, Callable[[], object]]] = []
        self._order = itertools.count()
        self.slept: list[float] = []
        self.time_zone = "CET (+0100)"

    def monotonic(self) -> float:
        return self._monotonic

    def time(self) -> float:
        return self._time

    def zone(self) -> str:
        return self.time_zone

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.advance(seconds)

    def advance(self, seconds: float) -> None:
        end = self._monotonic + seconds
        while self._events and self._events[0][0] <= end:
            at, _, action = heapq.heappop(self._events)
            self._move_to(max(at, self._monotonic))
            action()
        self._move_to(max(end, self._monotonic))

    def later(self, seconds: float, action: Callable[[], object]) -> None:
        heapq.heappush(self._events, (self._monotonic + seconds, next(self._order), action))

    def step_wall_clock(self, seconds: float) -> None:
        """NTP or an administrator sets the time; `monotonic` does not notice."""
        self._time += seconds

    def _move_to(self, monotonic: float) -> None:
        self._time += monotonic - self._monotonic
        self._monotonic = monotonic
