"""Salt, masterless, in an environment of its own that is kept in the cache: 250 MB, minutes to make."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
from pathlib import Path

from tests.machine.rig import CommandFailed, Machine
from tests.machine.rig.paths import cache

REQUIREMENTS = Path(__file__).with_name("salt-requirements.txt")
_INSIDE = "/srv/bench/salt-venv"
_PYTHON = "/usr/bin/python3"
_MAKE_S = 1200.0
_VERSION = "import sys; print(*sys.version_info[:2])"


class NotMeasured(Exception):
    """Why there is no peer in this run."""


def install(machine: Machine) -> str:
    """Path of salt-call in the machine. NotMeasured when it cannot be had."""
    here = subprocess.run([_PYTHON, "-c", _VERSION], capture_output=True, text=True, check=True).stdout
    there = machine.run([_PYTHON, "-c", _VERSION]).stdout
    if here != there:
        raise NotMeasured(f"this host's Python is {here.strip()}, the machine's {there.strip()}")
    machine.push(_environment(here), _INSIDE)
    # The scripts name the folder in which the environment was made.
    machine.write(
        f"{_INSIDE}/salt-call", f'#!/bin/sh\nexec {_INSIDE}/bin/python3 {_INSIDE}/bin/salt-call "$@"\n', 0o755
    )
    try:
        machine.run([f"{_INSIDE}/salt-call", "--version"])
    except CommandFailed as error:
        raise NotMeasured(f"salt-call does not start: {error}") from error
    return f"{_INSIDE}/salt-call"


def _environment(python: str) -> Path:
    key = hashlib.sha256(REQUIREMENTS.read_bytes() + python.encode()).hexdigest()[:16]
    folder = cache() / "peers" / f"salt-{key}"
    folder.parent.mkdir(parents=True, exist_ok=True)
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if (folder / "complete").exists():
            return folder
        shutil.rmtree(folder, ignore_errors=True)
        try:
            subprocess.run([_PYTHON, "-m", "venv", folder], check=True, capture_output=True)
            for what in (["wheel"], ["--no-build-isolation", "--no-deps", "-r", str(REQUIREMENTS)]):
                pip = [str(folder / "bin/pip"), "install", "-q", *what]
                subprocess.run(pip, check=True, capture_output=True, text=True, timeout=_MAKE_S)
        except subprocess.CalledProcessError as error:
            raise NotMeasured(f"pip cannot install it: {str(error.stderr).strip()[-300:]}") from error
        except subprocess.TimeoutExpired as error:
            raise NotMeasured(f"pip did not finish within {_MAKE_S:.0f} s") from error
        (folder / "complete").touch()
    return folder
