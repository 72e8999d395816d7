"""What waits beside a warm guest: kernels, and Pluto. Each is a companion; the guest sees all as one."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Protocol

from hubagent import wire


class Companion(Protocol):
    """Something warm that the server will be given."""

    def pong(self) -> wire.Pong:
        """How far it is, with its own part of `kernels` and `pluto`. Must not wait."""
        ...

    def before_server(self, environment: Mapping[str, str]) -> None:
        """Called once, after the guest has become the user's (os.environ, working directory and sys.argv are
        set) and before the server's first line. May extend os.environ, sys.path and sys.argv. An exception
        is logged, and the server starts without this companion."""
        ...

    def end(self) -> None:
        """End what waits: the guest will execute a command that knows nothing of it."""
        ...


class Companions:
    """All companions of a guest."""

    def __init__(self, companions: tuple[Companion, ...]) -> None:
        self._companions = companions

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
        return tuple(faults)

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
