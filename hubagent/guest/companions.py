"""What waits beside a warm guest: kernels, and Pluto. Each is a companion; the guest sees all as one.

Once the guest is somebody's server, what still waits is memory that the user pays for. It ends when nobody has asked
for it in a while, or when memory is short; what the user has is never touched.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import ClassVar, Final, Protocol

from hubagent import wire
from hubagent.guest import memory, spares

UNUSED_S: Final = 900.0
"""So long a companion waits for its user (seconds). A second notebook is mostly opened within minutes of the first;
and what waited for as long as an idle server may live (30 minutes, as shipped) would wait for ever."""

POLL_S: Final = 10.0
"""How often memory is looked at (seconds)."""


class Companion(Protocol):
    """Something warm that the server will be given."""

    KIND: ClassVar[str]  # a field of wire.Spares

    def pong(self) -> wire.Pong:
        """How far it is, with its own part of `kernels` and `pluto`. Must not wait."""
        ...

    def before_server(self, environment: Mapping[str, str]) -> None:
        """Called once, after the guest has become the user's (os.environ, working directory and sys.argv are
        set) and before the server's first line. May extend os.environ, sys.path and sys.argv. An exception
        is logged, and the server starts without this companion."""
        ...

    def spare(self, *, unused_s: float, is_short: bool) -> None:
        """Called now and then after `before_server`: end what waits and was not asked for in `unused_s`, or at once
        when memory `is_short`. It is started again, as in a server that began cold, when it is asked for."""
        ...

    def waits(self) -> tuple[int, ...]:
        """The processes that wait now and were not asked for; each leads a session of its own."""
        ...

    def end(self) -> None:
        """End what waits: the guest will execute a command that knows nothing of it."""
        ...


class Companions:
    """All companions of a guest."""

    def __init__(
        self,
        companions: tuple[Companion, ...],
        *,
        unused_s: float = UNUSED_S,
        poll_s: float = POLL_S,
        is_short: Callable[[], bool] = memory.is_short,
        folder: Path = Path(wire.GUEST_FOLDER),
    ) -> None:
        self._folder = folder
        self._companions = companions
        self._is_short = is_short
        self._unused_s = unused_s
        self._look_s = poll_s

    def pong(self) -> wire.Pong:
        pongs = [one.pong() for one in self._companions]
        return wire.Pong(
            ready=all(pong.ready for pong in pongs),
            detail="; ".join(pong.detail for pong in pongs if pong.detail),
            kernels={name: count for pong in pongs for name, count in pong.kernels.items()},
            pluto=any(pong.pluto for pong in pongs),
        )

    def before_server(self, environment: Mapping[str, str]) -> tuple[str, ...]:
        """What went wrong, one line for each companion that is left out."""
        faults = []
        for one in self._companions:
            try:
                one.before_server(environment)
            except Exception as error:  # a cold kernel is better than no server
                faults.append(f"{type(one).__name__}: {type(error).__name__}: {error}")
        if self._companions:
            threading.Thread(target=self._watch, name="companions", daemon=True).start()
        return tuple(faults)

    def _watch(self) -> None:
        told = spares.Report(self._folder)
        while True:
            time.sleep(self._look_s)
            is_short = self._is_short()
            for one in self._companions:
                one.spare(unused_s=self._unused_s, is_short=is_short)
            told.say({one.KIND: one.waits() for one in self._companions})

    def end(self) -> None:
        for one in self._companions:
            one.end()


def start(settings: wire.GuestSettings) -> Companions:
    """Start what the settings ask for; none of it is waited for."""
    companions: list[Companion] = []
    if settings.kernels:
        companions.append(import_module("hubagent.guest.kernels").start(settings))
    if settings.pluto:
        companions.append(import_module("hubagent.guest.pluto").start(settings))
    return Companions(tuple(companions))
