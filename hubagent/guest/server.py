"""Running a console script in this process, as the interpreter would run it."""

from __future__ import annotations

import os
import shutil
import sys
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Final

SERVER: Final = "jupyterhub-singleuser"
"""The launcher runs with the interpreter of this script."""


class Scripts:
    """The console scripts of this interpreter, as they are now."""

    def __init__(self) -> None:
        self._names = frozenset(one.name for one in metadata.entry_points(group="console_scripts"))
        self._interpreter = _interpreter(shutil.which(SERVER))

    def find(self, path: str | None) -> Path | None:
        """The file at `path`; None unless it is one of these and runs with this interpreter."""
        if path is None or os.path.basename(path) not in self._names:
            return None
        return Path(path) if _interpreter(path) == self._interpreter else None


def _interpreter(script: str | None) -> tuple[bytes, ...]:
    """The lines of a script that say what runs it: the first, or the first three of what sh runs."""
    if script is None:
        return ()
    with open(script, "rb") as file:
        lines = tuple(file.readline(4096) for _ in range(3))
    return lines[:1] if b"python" in lines[0] else lines


def run(script: Path, arguments: tuple[str, ...]) -> None:
    """Be `script` as a fresh process would be; returns when it does, and raises what it raises."""
    sys.argv[:] = [str(script), *arguments]
    sys.orig_argv[:] = [sys.executable, *sys.argv]
    if not getattr(sys.flags, "safe_path", False):
        sys.path.insert(0, os.path.dirname(os.path.realpath(script)))
    program = ModuleType("__main__")
    program.__file__ = str(script)
    sys.modules["__main__"] = program
    exec(compile(script.read_bytes(), script, "exec"), program.__dict__)  # noqa: S102 - what we are here for
