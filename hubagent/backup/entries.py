"""What a backup is made of: parts, and in each part folders, files and links below one place."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final, Protocol

FILES: Final = "files"
"""The part with files of /etc: the configuration, and what it names; paths are from the root."""
STATE: Final = "state"
"""The part with the self-signed certificate; paths are below Layout.state."""
HUB: Final = "hub"
"""The part with the hub's database and what lies beside it; paths are below Layout.hub_state."""
VOLUMES: Final = "volumes"
"""One part for each home, `volumes/NAME`; paths are below the volume's mount point."""

LATEST_NS: Final = (2**33 - 1) * 10**9
"""The latest time that is kept, in the year 2242: every file system can have it."""


class Kind(enum.Enum):
    """Devices, sockets and FIFOs are in no backup."""

    FILE = "file"
    FOLDER = "folder"
    SYMLINK = "symlink"
    HARD_LINK = "hard link"


@dataclass(frozen=True, slots=True)
class Entry:
    """One thing in a part. Names are as the file system has them, undecodable bytes as surrogates."""

    path: tuple[str, ...]  # below the part's place; empty is that place itself
    kind: Kind
    mode: int = 0o600  # permission bits, with set-uid, set-gid, sticky
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0  # unix time, 0 to LATEST_NS
    size: int = 0  # bytes, of files
    target: str = ""  # of a symlink: its text, whatever it says
    linked: tuple[str, ...] = ()  # of a hard link: an earlier file of the same part


class Readable(Protocol):
    """A file's content, read once."""

    def read(self, size: int = -1, /) -> bytes:
        """At most so many bytes; none at the end."""
        ...


def volume_part(volume: str) -> str:
    return f"{VOLUMES}/{volume}"


def volume_of(part: str) -> str | None:
    """The volume of which this is the part; None for the other parts."""
    folder, slash, volume = part.partition("/")
    return volume if slash and folder == VOLUMES else None
