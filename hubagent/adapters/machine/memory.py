"""The machine's memory, out of /proc/meminfo (proc(5))."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from hubagent.errors import StorageError
from hubagent.pool.policy import Memory

MEMINFO: Final = Path("/proc/meminfo")


def read_memory(path: Path = MEMINFO) -> Memory:
    """Now. Raises StorageError when the kernel does not say."""
    try:
        text = path.read_text("ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise StorageError(f"{path}: {error}") from error
    return Memory(total=_bytes(text, "MemTotal", path), available=_bytes(text, "MemAvailable", path))


def _bytes(text: str, name: str, path: Path) -> int:
    found = re.search(rf"^{name}:\s+(\d+) kB$", text, re.MULTILINE)
    if found is None:
        raise StorageError(f"{path}: has no {name}")
    return int(found[1]) * 1024
