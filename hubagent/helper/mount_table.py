"""The kernel's table of mounts, as this process sees it: proc_pid_mountinfo(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

_TABLE: Final = Path("/proc/self/mountinfo")
_ESCAPED: Final = re.compile(r"\\([0-7]{3})")


@dataclass(frozen=True, slots=True)
class Mount:
    id: int
    parent: int  # id of the mount it lies on
    point: PurePosixPath


def beneath(folder: PurePosixPath, table: Path = _TABLE) -> tuple[Mount, ...]:
    """What is mounted on a folder and below it, each before the one that it lies on. Raises OSError.

    The last part of the folder's own path holds no spaces, backslashes or line ends.
    """
    text = table.read_text("utf-8", errors="surrogateescape")
    # Only "\n" ends an entry; a user's folder name may hold what else Python takes for the end of a line.
    mounts = [_mount(line) for line in text.split("\n") if f"/{folder.name}" in line]
    within = {mount.id: mount for mount in mounts if mount.point.is_relative_to(folder)}

    def depth(mount: Mount) -> int:
        parent = within.get(mount.parent)
        return 0 if parent is None else 1 + depth(parent)

    return tuple(sorted(within.values(), key=depth, reverse=True))


def _mount(line: str) -> Mount:
    number, parent, _device, _root, point, *_rest = line.split(" ")
    return Mount(int(number), int(parent), PurePosixPath(_ESCAPED.sub(_character, point)))


def _character(escape: re.Match[str]) -> str:
    return chr(int(escape[1], 8))
