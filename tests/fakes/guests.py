"""Guests in memory: what waits in containers, for the pool and the broker."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hubagent import wire
from hubagent.errors import GuestError

READY = wire.Pong(ready=True, detail="", kernels={}, pluto=False)


class FakeGuests:
    """`pool.ports.Guests` in memory.

    A guest that was prepared listens once `listen` was called for it, at once with `listens=True`.
    `refuse(guest)` makes its next Become fail, `hold()` is a context in which they wait. `became` has what
    each guest became, `proofs` what each has proven, `settings` what each was told at the start.
    """

    def __init__(self, *, listens: bool = True, pong: wire.Pong = READY) -> None:
        self.settings: dict[str, wire.GuestSettings] = {}
        self.pongs: dict[str, wire.Pong] = {}
        self.became: dict[str, wire.Become] = {}
        self.proofs: dict[str, wire.Proof] = {}
        self.forgotten: list[str] = []
        self.listens = listens
        self._pong = pong
        self._spares: dict[str, wire.Spares] = {}
        self._refusals: dict[str, list[str]] = {}
        self._gate: threading.Event | None = None
        self._lock = threading.Lock()

    # For tests

    def listen(self, guest: str, pong: wire.Pong | None = None) -> None:
        self.pongs[guest] = pong or self._pong

    def pong_of_new(self, pong: wire.Pong) -> None:
        """What guests answer that are prepared from now on."""
        self._pong = pong

    def die(self, guest: str) -> None:
        """Nobody listens any more."""
        self.pongs.pop(guest, None)

    def refuse(self, guest: str, message: str = "the server ended") -> None:
        self._refusals.setdefault(guest, []).append(message)

    @contextmanager
    def hold(self) -> Iterator[None]:
        gate = self._gate = threading.Event()
        try:
            yield
        finally:
            self._gate = None
            gate.set()

    # Guests

    def prepare(self, guest: str, settings: wire.GuestSettings) -> str:
        with self._lock:
            self.settings[guest] = settings
            if self.listens:
                self.pongs.setdefault(guest, self._pong)
        return f"/run/hubagent/guests/{guest}/socket"

    def ping(self, guest: str, *, timeout_s: float) -> wire.Pong | None:
        with self._lock:
            return None if guest in self.became else self.pongs.get(guest)

    def become(self, guest: str, message: wire.Become, *, timeout_s: float) -> None:
        if self._gate is not None and not self._gate.wait(timeout_s):
            raise GuestError(f"the launcher of {guest} did not answer within {timeout_s:.1f} s")
        with self._lock:
            if guest not in self.settings or guest not in self.pongs:
                raise GuestError(f"the launcher of {guest} does not listen")
            if guest in self.became:
                raise GuestError(f"the launcher of {guest} was claimed before")
            self.became[guest] = message
            refusals = self._refusals.get(guest)
            if refusals:
                raise GuestError(f"the launcher of {guest} refused: {refusals.pop(0)}")

    def proof(self, guest: str) -> wire.Proof | None:
        return self.proofs.get(guest)

    def say_spares(self, guest: str, spares: wire.Spares) -> None:
        """For tests: a user's server says this."""
        self._spares[guest] = spares

    def spares(self, guest: str) -> wire.Spares | None:
        return self._spares.pop(guest, None)

    def forget(self, guest: str) -> None:
        with self._lock:
            self.settings.pop(guest, None)
            self.pongs.pop(guest, None)
            self.forgotten.append(guest)

    def known(self) -> tuple[str, ...]:
        with self._lock:
            return tuple(sorted(self.settings))
