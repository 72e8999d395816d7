"""A user's own packages and settings can keep their server from starting, and being kept, for ever.

A server that ends before it answers, with packages or settings of the user's in force, is started once more without
them. Kernels and terminals have them still, so that the user can put right what is wrong.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Callable, MutableMapping
from pathlib import Path
from types import FrameType
from typing import Final

from hubagent.guest import user_packages

LEFT_OUT: Final = "HUBAGENT_LEFT_OUT"
"""In the environment of a server that is started without them."""

NOTE: Final = "SERVER STARTED WITHOUT YOUR PACKAGES.txt"
"""Where the user sees it: in the first folder that their server shows."""

_WITHOUT: Final = {"PYTHONNOUSERSITE": "1", "JUPYTERHUB_DISABLE_USER_CONFIG": "1"}
_TEXT: Final = """\
Your server ended before it was ready, so it was started without the Python packages and the Jupyter settings that you
have installed for yourself. Notebooks and terminals use them as before.

In a terminal, `pip list --user` shows the packages; `pip uninstall NAME` removes one. Settings are in ~/.jupyter. Then
stop your server and start it again. This file goes away by itself.
"""
_FORWARDED: Final = (
    signal.SIGTERM,
    signal.SIGINT,
    signal.SIGHUP,
    signal.SIGQUIT,
    signal.SIGUSR1,
    signal.SIGUSR2,
)
_PAUSE_S: Final = 0.05


def are_there(home: str) -> bool:
    """Is there something of the user's that the server itself reads?"""
    settings = [*Path(home, ".jupyter").glob("jupyter_*"), *Path(home, ".local/etc/jupyter").glob("*")]
    return bool(settings) or bool(user_packages.enabled() and _holds(user_packages.folder()))


def leave_out(environment: MutableMapping[str, str], home: str) -> None:
    """Let a server that is started with this environment read none of them, and tell the user."""
    environment[LEFT_OUT] = ",".join(name for name in _WITHOUT if name not in environment)
    environment.update(_WITHOUT)
    for name in ("PYTHONPATH", "JUPYTER_CONFIG_PATH"):
        parts = [
            one for one in environment.get(name, "").split(os.pathsep) if not one.startswith(f"{home}/.")
        ]
        if name in environment:
            environment[name] = os.pathsep.join(parts)
    with contextlib.suppress(OSError):
        Path(home, NOTE).write_text(_TEXT)


def forget(home: str) -> None:
    """Before another try with them."""
    with contextlib.suppress(OSError):
        Path(home, NOTE).unlink()


def give_back(environment: MutableMapping[str, str]) -> None:
    """In the server that was started without them: its kernels and terminals have them."""
    for name in environment.pop(LEFT_OUT, "").split(","):
        environment.pop(name, None)


def first_try(program: str, command: tuple[str, ...], is_ready: Callable[[], bool]) -> int | None:
    """Run the server as a child until it ends: its status as of a shell, or None when it ended before it was ready,
    for a reason of its own. Raises OSError."""
    child = subprocess.Popen(command, executable=program)  # noqa: S603 - what the user's server is
    told: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        told.append(number)
        child.send_signal(number)

    before = {number: signal.signal(number, forward) for number in _FORWARDED}
    was_ready = False
    while not was_ready and child.poll() is None:
        was_ready = is_ready()
        time.sleep(0 if was_ready else _PAUSE_S)
    status = child.wait()
    for number, handler in before.items():
        signal.signal(number, handler)
    if not was_ready and not told:
        return None
    return status if status >= 0 else 128 - status


def _holds(place: Path) -> bool:
    try:
        with os.scandir(place) as entries:
            return next(entries, None) is not None
    except OSError:
        return False
