"""The running Pluto as the guest sees it: started, restarted when it dies, told whose it is."""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.guest import additions
from hubagent.guest.kernels.recipes import Recipe
from hubagent.guest.kernels.spare import Spare

PROGRAM: Final = str(Path(__file__).with_name("pluto.jl"))

ABSENT: Final = 3
"""Exit status of pluto.jl when this Julia has no Pluto."""

BACK_OFF_S: Final = (1.0, 5.0, 20.0, 60.0)
"""Before the next start, after so many deaths in a row (seconds)."""

STEADY_S: Final = 60.0
"""A Pluto that lived for so long has not died in a row with the one before (seconds)."""


class Pluto:
    """A companion (hubagent.guest.companions) that keeps Pluto running on a port of 127.0.0.1."""

    def __init__(self, home: str, back_off_s: tuple[float, ...] = BACK_OFF_S) -> None:
        self._home = home
        self._back_off_s = back_off_s
        self._changed = threading.Condition()
        self._listens = False
        self._fault = ""
        self._absent = False
        self._ended = False
        self._claimed = False
        self._spare: Spare | None = None
        self.port: Final = _free_port()
        threading.Thread(target=self._run, name="Pluto", daemon=True).start()

    def pong(self) -> wire.Pong:
        with self._changed:
            waits = not (self._listens or self._fault)
            detail = "waiting for Pluto" if waits else self._fault
            return wire.Pong(ready=not waits, detail=detail, kernels={}, pluto=self._listens)

    def before_server(self, environment: Mapping[str, str]) -> None:
        """Tell Pluto whose it is, and the server where it is. Nothing when the image has no Pluto."""
        with self._changed:
            self._claimed = True
            if self._absent:
                return
            if self._spare and self._listens:
                self._adopt(self._spare)
            os.environ[additions.PLUTO] = str(self.port)

    def end(self) -> None:
        with self._changed:
            self._ended = True
            self._changed.notify_all()
            spare = self._spare
        if spare:
            spare.end()

    def _run(self) -> None:
        deaths = 0
        while not self._ended:
            begun_s = time.monotonic()
            status = self._live()
            if status == ABSENT:
                with self._changed:
                    self._absent = True
                    self._fault = "this image's Julia has no Pluto"
                return
            deaths = 1 if time.monotonic() - begun_s > STEADY_S else deaths + 1
            with self._changed:
                self._listens = False
                self._fault = f"Pluto ended with status {status}"
                pause_s = self._back_off_s[min(deaths, len(self._back_off_s)) - 1]
                self._changed.wait_for(lambda: self._ended, pause_s)

    def _live(self) -> int:
        """One life of Pluto; its exit status, or 127 when it cannot be started."""
        julia = shutil.which("julia")
        if julia is None:
            return ABSENT
        try:
            spare = Spare(self._recipe(julia), os.environ, "")
        except OSError:
            return 127
        with self._changed:
            self._spare = spare
        if spare.wait_warm():
            with self._changed:
                self._listens, self._fault = True, ""
                if self._claimed:
                    self._adopt(spare)
        return spare.process.wait()

    def _adopt(self, spare: Spare) -> None:
        spare.hand_over((), self._home, additions.without(os.environ), close=False)

    def _recipe(self, julia: str) -> Recipe:
        return Recipe(
            prefix=(),
            waiting=(julia, "--startup-file=no", PROGRAM, str(self.port)),
            arguments=(),
            spec_environment={},
            fixed=(),
        )


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])
