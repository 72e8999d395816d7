"""What proves progress, so that a long look at the machine does not look like a hang: each sleep, each call that
came back. A call that does not come back proves nothing."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable
from typing import Any, Final, TypeVar, cast

from hubagent.converge.tools import Tools
from hubagent.errors import StopRequested
from hubagent.ports import Clock

_BEAT_S: Final = 1.0
"""How often progress is told at most; a look makes many calls."""

Port = TypeVar("Port")


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

    def zone(self) -> str:
        return self._clock.zone()


class Progress:
    """To be called for each piece of work of the thread that made this; what other threads do proves nothing of it.

    It is also where that thread can be stopped: StopRequested is raised once, from a call after `stop`. What follows,
    such as cleaning up, is not interrupted again.
    """

    def __init__(self, beat: Callable[[], None], monotonic: Callable[[], float] = time.monotonic) -> None:
        self._beat = beat
        self._monotonic = monotonic
        self._thread = threading.get_ident()
        self._stop = threading.Event()
        self._is_broken_off = False
        self._beaten_s = float("-inf")

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
        if now_s - self._beaten_s >= _BEAT_S:
            self._beaten_s = now_s
            self._beat()


def beating(tools: Tools, beat: Callable[[], None]) -> Tools:
    """The same tools, which beat before and after each of their calls. What `beat` raises ends the caller, as if the
    process had been ended there: a place that every start recovers from."""
    return dataclasses.replace(
        tools,
        units=_beating(tools.units, beat),
        engine=_beating(tools.engine, beat),
        files=_beating(tools.files, beat),
        probe=_beating(tools.probe, beat),
        certificates=_beating(tools.certificates, beat),
        machine=_beating(tools.machine, beat),
        clock=BeatingClock(tools.clock, beat),
    )


def _beating(port: Port, beat: Callable[[], None]) -> Port:
    return cast("Port", _Beating(port, beat))


class _Beating:
    def __init__(self, port: object, beat: Callable[[], None]) -> None:
        self._port = port
        self._beat = beat

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._port, name)

        def beaten(*arguments: Any, **named: Any) -> Any:
            self._beat()
            try:
                return call(*arguments, **named)
            finally:
                self._beat()

        return beaten
