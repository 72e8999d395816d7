"""A process that waits for its parent's end and then removes the parent's machine.

The parent holds the other end of the pipe that is this process' standard input: however the parent ends,
kill -9 included, the kernel closes it.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from . import registry

_PACKAGE = __package__ or ""


def start(machine: str) -> subprocess.Popen[bytes]:
    """Start a reaper for the machine; to end it, remove the machine and close its standard input."""
    top = Path(__file__).resolve().parents[len(_PACKAGE.split("."))]
    return subprocess.Popen(
        [
            sys.executable,
            "-c",
            f"import sys; sys.path.insert(0, {str(top)!r}); "
            f"from {_PACKAGE}.reaper import main; main({machine!r})",
        ],
        stdin=subprocess.PIPE,
        start_new_session=True,
    )


def main(machine: str) -> None:
    """Wait for the end of the parent, then clean up after it."""
    sys.stdin.buffer.read()
    if registry.load(machine) is not None:
        registry.remove(machine)
