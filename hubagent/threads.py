"""Threads that tools of the system can tell apart: `ps -L`, `top -H`, /proc/PID/task/TID/comm."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable
from typing import Final

_COMM: Final = "/proc/thread-self/comm"
"""proc(5). Python sets it from 3.14 on by itself; a new thread has its maker's until then."""

MAX_NAME: Final = 15
"""The kernel cuts off what is longer (bytes)."""


class NamedThread(threading.Thread):
    """A daemon thread that has its name in the kernel, too, where /proc lets it."""

    def __init__(self, target: Callable[[], object], *, name: str) -> None:
        super().__init__(target=target, name=name, daemon=True)

    def run(self) -> None:
        with contextlib.suppress(OSError), open(_COMM, "w") as file:  # it is for people who look, not for us
            file.write(self.name[:MAX_NAME])
        super().run()
