"""A clock whose sleeps prove progress, so that a long verification does not look like a hang."""

from __future__ import annotations

from collections.abc import Callable

from hubagent.ports import Clock


class BeatingClock:
    """Wraps a clock; every sleep feeds the watchdog. All loops that sleep have deadlines."""

    def __init__(self, clock: Clock, beat: Callable[[], None]) -> None:
        self._clock = clock
        self._beat = beat

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def time(self) -> float:
        return self._clock.time()

    def sleep(self, seconds: float) -> None:
        self._beat()
        self._clock.sleep(seconds)
