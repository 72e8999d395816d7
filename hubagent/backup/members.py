"""Members of the tar archive: from entries and back. What comes back is never outside of its part.

A name that is absolute, empty, or has `.` or `..` in it is refused, and so is every kind of member but
folders, regular files and links. A hard link leads to a name that passed the same test, in the same part.
A symlink may say anything: whoever unpacks does not follow it.
"""

from __future__ import annotations

import re
import tarfile
from typing import Final

from hubagent.backup.entries import FILES, HUB, LATEST_NS, STATE, VOLUMES, Entry, Kind
from hubagent.errors import BackupError

MANIFEST: Final = "manifest.json"

_PLAIN: Final = frozenset({FILES, STATE, HUB})
_VOLUME: Final = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]{0,254}", re.ASCII)
"""What Docker takes for a volume's name."""
_NANO: Final = 10**9
_TYPES: Final = {
    Kind.FILE: tarfile.REGTYPE,
    Kind.FOLDER: tarfile.DIRTYPE,
    Kind.SYMLINK: tarfile.SYMTYPE,
    Kind.HARD_LINK: tarfile.LNKTYPE,
}
_KINDS: Final = {kind: name for name, kind in _TYPES.items()} | {tarfile.AREGTYPE: Kind.FILE}


def member_name(part: str, path: tuple[str, ...]) -> str:
    return "/".join((part, *path))


def parse_name(name: str) -> tuple[str, tuple[str, ...]]:
    """Part and path of a member. Raises BackupError for a name that leads anywhere else."""
    first, *rest = name.split("/")
    if any(word in ("", ".", "..") or "\0" in word for word in (first, *rest)):
        raise BackupError(f"the backup has a member {name!r}, which does not belong in a backup of hubagent")
    if first in _PLAIN:
        return first, tuple(rest)
    if first == VOLUMES and rest and _VOLUME.fullmatch(rest[0]):
        return f"{first}/{rest[0]}", tuple(rest[1:])
    raise BackupError(f"the backup has a member {name!r}, which this version does not know")


def to_member(part: str, entry: Entry) -> tarfile.TarInfo:
    """With the time in nanoseconds as a pax header, because compilers' caches compare it exactly."""
    member = tarfile.TarInfo(member_name(part, entry.path))
    member.type = _TYPES[entry.kind]
    member.mode, member.uid, member.gid = entry.mode, entry.uid, entry.gid
    member.size = entry.size if entry.kind is Kind.FILE else 0
    seconds, rest = divmod(entry.mtime_ns, _NANO)
    member.mtime = seconds
    if rest:
        member.pax_headers = {"mtime": f"{seconds}.{rest:09d}"}
    if entry.kind is Kind.SYMLINK:
        member.linkname = entry.target
    elif entry.kind is Kind.HARD_LINK:
        member.linkname = member_name(part, entry.linked)
    return member


def from_member(member: tarfile.TarInfo) -> tuple[str, Entry]:
    """Part and entry. Raises BackupError for a member that no backup has."""
    part, path = parse_name(member.name)
    kind = _KINDS.get(member.type)
    if kind is None or member.sparse is not None:
        raise BackupError(f"the backup has {member.name!r}, which is neither folder, file nor link")
    if not path and kind is not Kind.FOLDER:
        raise BackupError(f"the backup has {member.name!r}, which should be a folder")
    linked: tuple[str, ...] = ()
    if kind is Kind.HARD_LINK:
        other, linked = parse_name(member.linkname)
        if other != part or not linked:
            raise BackupError(f"the backup has a link {member.name!r} that points outside its folder")
    if kind is Kind.SYMLINK and (not member.linkname or "\0" in member.linkname):
        raise BackupError(f"the backup has an empty link {member.name!r}")
    return part, Entry(
        path=path,
        kind=kind,
        mode=member.mode & 0o7777,
        uid=member.uid,
        gid=member.gid,
        mtime_ns=_mtime_ns(member),
        size=member.size if kind is Kind.FILE else 0,
        target=member.linkname if kind is Kind.SYMLINK else "",
        linked=linked,
    )


def _mtime_ns(member: tarfile.TarInfo) -> int:
    """What no file system has becomes what it can have: a wrong time is no reason to lose a file."""
    seconds, dot, rest = member.pax_headers.get("mtime", "").partition(".")
    # tarfile's own number is a float, in which nanoseconds get lost.
    if dot and (seconds + rest).isascii() and seconds.isdecimal() and rest.isdecimal():
        return min(int(seconds[-12:]) * _NANO + int(rest[:9].ljust(9, "0")), LATEST_NS)
    return int(member.mtime) * _NANO if 0 <= member.mtime * _NANO <= LATEST_NS else 0
