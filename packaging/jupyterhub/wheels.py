#!/usr/bin/python3
"""Collect the wheels of the hub's environment, each checked against requirements.txt by hash.

    wheels.py 3.11 3.13

prints one folder for each Python version asked for. The folders lie in the cache
($HUBAGENT_CACHE, else ~/.cache/hubagent), under a name made from the lock, so they are filled
once for each lock. Only Debian's own pip is needed. Wheels are chosen for the C library of the
oldest Debian release that is served, whatever the building machine has.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
LOCK = HERE / "requirements.txt"
SDISTS = HERE / "sdists.txt"
OLDEST_GLIBC_MINOR = 36  # Debian 12
FIRST_MANYLINUX_MINOR = 17  # PEP 599, the same as manylinux2014


def cache_root() -> Path:
    """The folder for slow things."""
    return Path(os.environ.get("HUBAGENT_CACHE") or Path.home() / ".cache/hubagent")


def requirement_blocks(text: str) -> Iterator[tuple[str, str]]:
    """(normalised name, requirement with its hashes) of each entry of a lock file."""
    for block in re.split(r"\n(?=[a-z0-9])", text):
        match = re.match(r"([A-Za-z0-9._-]+)(\[[^]]*\])?==", block)
        if match:
            yield re.sub(r"[-_.]+", "-", match[1]).lower(), block.rstrip("\n") + "\n"


def pip(*arguments: str) -> None:
    """Run Debian's pip, quiet unless it fails."""
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments]
    done = subprocess.run(  # noqa: S603 - our own arguments, no shell
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False
    )
    if done.returncode:
        sys.exit(f"wheels.py: pip failed; its output:\n{done.stdout}")


def download(python: str, folder: Path) -> None:
    """Put every locked distribution into folder, as a wheel that this Python can use.

    Markers in the lock are evaluated by the running Python: the lock holds none that
    differ between the versions served (tests/packages checks that).
    """
    source_only = {line for line in SDISTS.read_text().splitlines() if line and not line.startswith("#")}
    blocks = list(requirement_blocks(LOCK.read_text()))
    missing = source_only - {name for name, _ in blocks}
    if missing:
        sys.exit(f"{SDISTS}: not in the lock: {', '.join(sorted(missing))}; remove it here")
    tags = [f"manylinux_2_{minor}" for minor in range(OLDEST_GLIBC_MINOR, FIRST_MANYLINUX_MINOR - 1, -1)]
    machine = platform.machine()
    with tempfile.TemporaryDirectory() as scratch:
        binary = Path(scratch, "binary.txt")
        binary.write_text("".join(block for name, block in blocks if name not in source_only))
        source = Path(scratch, "source.txt")
        source.write_text("".join(block for name, block in blocks if name in source_only))
        pip(
            "download", "--no-deps", "--require-hashes", "--only-binary=:all:",
            "--implementation=cp", f"--python-version={python}",
            *(f"--platform={tag}_{machine}" for tag in (*tags, "manylinux2014", "linux")),
            f"--dest={folder}", f"--requirement={binary}",
        )  # fmt: skip
        pip(
            "wheel", "--no-deps", "--require-hashes", "--no-build-isolation",
            f"--wheel-dir={folder}", f"--requirement={source}",
        )  # fmt: skip


def wheels(python: str) -> Path:
    """The folder with the wheels for one Python version, filled when absent."""
    made_from = LOCK.read_bytes() + SDISTS.read_bytes() + Path(__file__).read_bytes()
    key = hashlib.sha256(made_from).hexdigest()[:16]
    parent = cache_root() / "wheels"
    folder = parent / f"{key}-{platform.machine()}-{python}"
    parent.mkdir(parents=True, exist_ok=True)
    with (parent / ".lock").open("w") as guard:
        fcntl.flock(guard, fcntl.LOCK_EX)
        if not folder.is_dir():
            scratch = Path(tempfile.mkdtemp(dir=parent))
            try:
                download(python, scratch)
                scratch.rename(folder)
            finally:
                shutil.rmtree(scratch, ignore_errors=True)
    return folder


if __name__ == "__main__":
    for version in sys.argv[1:]:
        print(wheels(version))
