"""Pluto, listening before the user comes, and its entry in JupyterLab's launcher.

`start` is for a warm guest; `version` for a proof.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from typing import Final

from hubagent import wire

from .companion import PROGRAM, Pluto, running

__all__ = ["Pluto", "running", "start", "version"]

_VERSION_S: Final = 60.0


def start(settings: wire.GuestSettings) -> Pluto:
    """Begin to start Pluto; returns at once."""
    return Pluto(settings.home)


def version() -> str:
    """Of the Pluto that the image's Julia finds; empty when there is none."""
    julia = shutil.which("julia")
    if julia is None:
        return ""
    try:
        said = subprocess.run(  # noqa: S603 - the image's own Julia
            [julia, "--startup-file=no", PROGRAM, "version"],
            env={**os.environ},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_VERSION_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return said.stdout.strip() if said.returncode == 0 else ""
