"""What proves progress, so that a long check of the machine does not look like a hang: each sleep, each call that
came back. A call that does not come back proves nothing."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from hubagent.converge.ports import Ports
from hubagent.errors import StopRequested
from hubagent.ports import Clock

_FEED_EVERY_S: Final = 1.0
"""How often progress is told at most; a check makes many calls."""

Port = TypeVar("Port")


class WatchdogClock:
    """Wraps a clock; every sleep feeds the watchdog. All loops that sleep have deadlines."""

    def __init__(self, clock: Clock, feed: Callable[[], None]) -> None:
        self._clock = clock
        self._feed = feed

    def monotonic(self) -> float:
        return self._clock.monotonic()

    def time(self) -> float:
        return self._clock.time()

    def sleep(self, seconds: float) -> None:
        self._feed()
        self._clock.sleep(seconds)

    def zone(self) -> str:
        return self._clock.zone()


class Progress:
    """To be called for each piece of work of the thread that made this; what other threads do proves nothing of it.

    It is also where that thread can be stopped: StopRequested is raised once, from a call after `stop`. What follows,
    such as cleaning up, is not interrupted again.
    """

    def __init__(self, feed: Callable[[], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._feed = feed
        self._monotonic = monotonic
        self._thread = threading.get_ident()
        self._stop = threading.Event()
        self._is_broken_off = False
        self._fed_s = float("-inf")

    @property
    def is_stopping(self) -> bool:
        return self._stop.is_set()

    def stop(self) -> None:
        """From any thread."""
        self._stop.set()

    def __call__(self) -> None:
        if threading.get_ident() != self._thread:
            return
        if self._stop.is_set() and not self._is_broken_off:
            self._is_broken_off = True
            raise StopRequested
        now_s = self._monotonic()
        if now_s - self._fed_s >= _FEED_EVERY_S:
            self._fed_s = now_s
            self._feed()


def with_watchdog(ports: Ports, feed: Callable[[], None]) -> Ports:
    """The same ports, which feed the watchdog before and after each of their calls. What `feed` raises ends the
    caller, as if the process had been ended there: a place that every start recovers from."""
    return dataclasses.replace(
        ports,
        units=_watched(ports.units, feed),
        engine=_watched(ports.engine, feed),
        files=_watched(ports.files, feed),
        probe=_watched(ports.probe, feed),
        certificates=_watched(ports.certificates, feed),
        machine=_watched(ports.machine, feed),
        clock=WatchdogClock(ports.clock, feed),
    )


def _watched(port: Port, feed: Callable[[], None]) -> Port:
    return cast("Port", _Watched(port, feed))


class _Watched:
    def __init__(self, port: object, feed: Callable[[], None]) -> None:
        self._port = port
        self._feed = feed

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def watched(*arguments: Any, **named: Any) -> Any:
            self._feed()
            try:
                return call(*arguments, **named)
            finally:
                self._feed()

        return watched
