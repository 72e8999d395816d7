"""Starts of users' servers, warm and cold: as long as one is under way, the pool keeps out of its way."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hubagent.pool import policy
from hubagent.ports import Clock


class Starts:
    """Safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pending = 0
        self._last_s = float("-inf")
        self._waiting_since_s: float | None = None

    @contextmanager
    def one(self) -> Iterator[None]:
        """While a server starts."""
        with self._lock:
            self._pending += 1
        try:
            yield
        finally:
            with self._lock:
                self._pending -= 1
                self._last_s = self._clock.monotonic()

    def busy(self) -> bool:
        """Whether a server starts, or has just started."""
        with self._lock:
            ended_s = self._clock.monotonic() - self._last_s
            return policy.busy(pending=self._pending, ended_s=ended_s)

    def pause(self) -> bool:
        """Whether to make no slot now; see policy.pauses. Asked at each check."""
        now_s = self._clock.monotonic()
        with self._lock:
            paused_s = 0.0 if self._waiting_since_s is None else now_s - self._waiting_since_s
            paused = policy.pauses(pending=self._pending, ended_s=now_s - self._last_s, paused_s=paused_s)
            if paused:
                self._waiting_since_s = now_s if self._waiting_since_s is None else self._waiting_since_s
            else:
                self._waiting_since_s = None
            return paused
