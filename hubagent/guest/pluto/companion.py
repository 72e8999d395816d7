"""The running Pluto as the guest sees it: started, restarted when it dies, told whose it is, ended if left unopened."""

from __future__ import annotations

import os
import shutil
import socket
import tempfile
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar, Final

from hubagent import wire
from hubagent.guest import server_extensions
from hubagent.guest.kernels.recipes import Recipe
from hubagent.guest.kernels.spare import Spare
from hubagent.guest.pluto import offer

PROGRAM: Final = str(Path(__file__).with_name("pluto.jl"))

ABSENT: Final = 3
"""Exit status of pluto.jl when this Julia has no Pluto."""

BACK_OFF_S: Final = (1.0, 5.0, 20.0, 60.0, 300.0)
"""Before the next start, after so many deaths in a row (seconds); then it is started when it is opened."""

STEADY_S: Final = 60.0
"""A Pluto that lived for so long has not died in a row with the one before (seconds)."""


_running: Pluto | None = None


def running() -> Pluto | None:
    """The Pluto of this process. The server's configuration has no other way to it."""
    return _running


class Pluto:
    """A companion (hubagent.guest.companions) that keeps Pluto running on a port of 127.0.0.1."""

    KIND: ClassVar[str] = "plutos"

    def __init__(self, home: str, back_off_s: tuple[float, ...] = BACK_OFF_S) -> None:
        self._home = home
        self._back_off_s = back_off_s
        self._changed = threading.Condition()
        self._listens = False
        self._fault = ""
        self._absent = False
        self._ended = False
        self._claimed = False
        self._claimed_s = 0.0
        self._opened = False
        self._spare: Spare | None = None
        self._depot = ""
        self._reserved: socket.socket | None = None
        self.port: Final = _free_port()
        self.report: Final = offer.new_report()
        threading.Thread(target=self._run, name="Pluto", daemon=True).start()

    def pong(self) -> wire.Pong:
        with self._changed:
            waits = not (self._listens or self._fault)
            detail = "warming Pluto" if waits else self._fault
            return wire.Pong(ready=not waits, detail=detail, kernels={}, pluto=self._listens)

    def before_server(self, environment: Mapping[str, str]) -> None:
        """Tell Pluto whose it is, and the server where it is. Nothing when the image has no Pluto."""
        global _running
        with self._changed:
            self._claimed, self._claimed_s = True, time.monotonic()
            if self._absent:
                return
            if self._spare and self._listens:
                self._adopt(self._spare)
            _running = self
            os.environ[server_extensions.PLUTO] = str(self.port)

    def opened(self) -> bool:
        """See offer.Running: one that is dead now is left to the server, which starts it anew."""
        with self._changed:
            self._opened = not self._ended and self._spare is not None and self._spare.alive
            if not self._opened:
                self._give_up()
            if self._reserved is not None:
                self._reserved.close()
            return self._opened

    def spare(self, *, unused_s: float, is_short: bool) -> None:
        """End it unless it was opened; its port stays its own."""
        with self._changed:
            is_unused = is_short or time.monotonic() - self._claimed_s >= unused_s
            if self._opened or self._ended or not is_unused or not offer.can_ask():
                return
            self._give_up()
            if self._spare:
                self._spare.end()
            self._reserved = _reserve(self.port)

    def waits(self) -> tuple[int, ...]:
        with self._changed:
            waits = self._spare is not None and self._spare.alive and not (self._opened or self._ended)
            return (self._spare.process.pid,) if self._spare is not None and waits else ()

    def end(self) -> None:
        with self._changed:
            self._give_up()
            spare = self._spare
        if spare:
            spare.end()

    def _give_up(self) -> None:
        self._ended, self._listens = True, False
        self._changed.notify_all()

    def _run(self) -> None:
        deaths = 0
        while True:
            begun_s = time.monotonic()
            status = self._live()
            deaths = 1 if time.monotonic() - begun_s > STEADY_S else deaths + 1
            with self._changed:
                self._listens = False
                if status == ABSENT:
                    self._absent = True
                    self._fault = "this image's Julia has no Pluto"
                    return
                if self._ended:
                    return
                self._fault = f"Pluto {self._ending(status)}"
                if deaths > len(self._back_off_s) and not self._opened:
                    self._fault += ", again and again: given up"
                    self._give_up()
                    return
                pause_s = self._back_off_s[min(deaths, len(self._back_off_s)) - 1]
                if self._changed.wait_for(lambda: self._ended, pause_s):
                    return

    def _ending(self, status: int) -> str:
        fault = self._spare.fault if self._spare else ""
        return fault or f"ended with status {status}"

    def _live(self) -> int:
        """One life of Pluto; its exit status, or 127 when it cannot be started."""
        julia = shutil.which("julia")
        if julia is None:
            return ABSENT
        try:
            self._depot = self._depot or tempfile.mkdtemp(prefix="hubagent-pluto-depot-")
            spare = Spare(self._recipe(julia), os.environ, self._depot)
        except OSError:
            return 127
        with self._changed:
            self._spare = spare
            if self._ended:
                spare.end()
        if spare.wait_warm():
            with self._changed:
                self._listens, self._fault = not self._ended, spare.lacks
                if self._claimed:
                    self._adopt(spare)
        return spare.process.wait()

    def _adopt(self, spare: Spare) -> None:
        spare.hand_over((), self._home, server_extensions.without(os.environ), close=False)

    def _recipe(self, julia: str) -> Recipe:
        return Recipe(
            prefix=(),
            waiting=(julia, "--startup-file=no", PROGRAM, str(self.port)),
            arguments=(),
            spec_environment={} if self.report is None else {offer.REPORT: str(self.report)},
            fixed=(),
            depot=True,
        )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


def _reserve(port: int) -> socket.socket | None:
    """Keep a port that nobody listens on any more from being given to others; None when it has been."""
    holder = socket.socket()
    try:
        holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        holder.bind(("127.0.0.1", port))
    except OSError:
        holder.close()
        return None
    return holder
