"""The machine's clocks."""

from __future__ import annotations

import time


class SystemClock:
    """Seconds since an arbitrary point (`monotonic`, never steps back) and since 1970 (`time`)."""

    def monotonic(self) -> float:
        return time.monotonic()

    def time(self) -> float:
        return time.time()

    def sleep(self, seconds: float) -> None:
        time.sleep(seconds)

    def zone(self) -> str:
        """A process keeps the zone that it began with until it is told to look again (tzset(3))."""
        time.tzset()
        return time.strftime("%Z (%z)")
