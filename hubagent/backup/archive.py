"""A backup as a stream: gzip around a tar archive (POSIX.1-2001, pax), written and read in one go.

`tar -xzf` unpacks it, too. Memory does not grow with what is in it.
"""

from __future__ import annotations

import gzip
import io
import tarfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from hubagent.backup import manifest as manifests
from hubagent.backup.digests import Digest, Exactly
from hubagent.backup.entries import Entry, Kind, Readable
from hubagent.backup.manifest import Manifest, Part
from hubagent.backup.members import MANIFEST, from_member, to_member
from hubagent.errors import BackupError

CHUNK: Final = 1 << 20
"""How much is read and written at a time (bytes)."""

_LEVEL: Final = 3  # of gzip: nearly as small as 6, in a third of the time
_MAX_MANIFEST: Final = 64 * 1024**2


class Writer:
    """Parts one after the other; `finish` makes it a backup. Raises OSError of the sink."""

    def __init__(self, sink: BinaryIO) -> None:
        self._gzip = gzip.GzipFile(filename="", fileobj=sink, mode="wb", compresslevel=_LEVEL)
        self._tar = tarfile.open(  # noqa: SIM115 - closed by `finish`; otherwise it is of no use
            fileobj=self._gzip,
            mode="w|",
            format=tarfile.PAX_FORMAT,
            bufsize=CHUNK,
            encoding="utf-8",
            errors="surrogateescape",
        )
        self._parts: list[Part] = []

    @contextmanager
    def part(self, name: str) -> Iterator[PartWriter]:
        """All of a part is written within this."""
        digest = Digest(name)
        yield PartWriter(self._tar, name, digest)
        self._parts.append(digest.part())

    @property
    def parts(self) -> tuple[Part, ...]:
        return tuple(self._parts)

    def finish(self, manifest: Manifest) -> None:
        """The sink is left open."""
        content = manifests.dump(manifest)
        member = tarfile.TarInfo(MANIFEST)
        member.size, member.mode, member.mtime = len(content), 0o600, int(manifest.made_s)
        self._tar.addfile(member, io.BytesIO(content))
        self._tar.close()
        self._gzip.close()


class PartWriter:
    def __init__(self, tar: tarfile.TarFile, name: str, digest: Digest) -> None:
        self._tar = tar
        self._name = name
        self._digest = digest

    def add(self, entry: Entry, content: Readable | None = None) -> None:
        """`content` is that of a file: `entry.size` bytes of it are taken."""
        self._digest.entry(entry)
        if entry.kind is Kind.FILE:
            exact = Exactly(content or io.BytesIO(), entry.size, self._digest)
            self._tar.addfile(to_member(self._name, entry), exact)
        else:
            self._tar.addfile(to_member(self._name, entry))
        _forget(self._tar)


def read(stream: BinaryIO) -> Iterator[tuple[str, Entry, Readable | None]]:
    """Part, entry and, of files, content, in the order of the archive; the manifest is left out. The content
    has to be read before the next one. Raises BackupError for anything that no backup has."""
    for member, content in _members(stream):
        if member.name != MANIFEST:
            yield *from_member(member), content


def verify(stream: BinaryIO, *, version: str) -> tuple[Manifest, bytes]:
    """Read all of it; the manifest, parsed and as it is. Raises BackupError when anything is missing, changed,
    or not for this version of hubagent."""
    digests: dict[str, Digest] = {}
    written: bytes | None = None
    fault: BackupError | None = None
    for member, content in _members(stream):
        if written is not None:
            raise BackupError("the backup goes on after its manifest; it was not made by hubagent")
        if member.name == MANIFEST:
            written = content.read(_MAX_MANIFEST) if content is not None else b""
            continue
        try:
            part, entry = from_member(member)
        except BackupError as error:  # a newer version may have members unknown here: its manifest says so
            fault = fault or error
            continue
        if part in digests and part != next(reversed(digests)):
            raise BackupError(f"the backup has its part {part} more than once; it was not made by hubagent")
        _take(digests.setdefault(part, Digest(part)), entry, content)
    if written is None:
        raise fault or BackupError(
            "the backup is incomplete: its end is missing; make a new one, or copy it again"
        )
    manifest = manifests.parse(written, version=version)
    if fault is not None:
        raise fault
    _compare(manifest, {name: digest.part() for name, digest in digests.items()})
    return manifest, written


def _take(digest: Digest, entry: Entry, content: Readable | None) -> None:
    digest.entry(entry)
    while content is not None and (chunk := content.read(CHUNK)):
        digest.content(chunk)


def _compare(manifest: Manifest, found: dict[str, Part]) -> None:
    for expected in manifest.parts:
        empty = Digest(expected.name).part()
        if found.pop(expected.name, empty) != expected:
            raise BackupError(
                f"the backup is damaged: {expected.name} is not as it was written; use another copy"
            )
    if found:
        raise BackupError(f"the backup has {', '.join(sorted(found))}, which its manifest does not know")


def _members(stream: BinaryIO) -> Iterator[tuple[tarfile.TarInfo, Readable | None]]:
    """With the content of files."""
    with (
        _damage_told(),
        gzip.GzipFile(fileobj=stream, mode="rb") as unpacked,
        tarfile.open(
            fileobj=unpacked, mode="r|", bufsize=CHUNK, encoding="utf-8", errors="surrogateescape"
        ) as tar,
    ):
        while (member := tar.next()) is not None:
            _forget(tar)
            content = tar.extractfile(member) if member.isreg() else None
            yield member, None if content is None else _Content(content)
        while unpacked.read(CHUNK):  # to its end, where gzip keeps its checksum
            pass


def _forget(tar: tarfile.TarFile) -> None:
    """What is written or read as a stream needs no list of what went by, and tarfile keeps one."""
    tar.members.clear()  # type: ignore[attr-defined]


class _Content:
    """Says in our words what is wrong with the archive when that shows only here."""

    def __init__(self, content: Readable) -> None:
        self._content = content

    def read(self, size: int = -1, /) -> bytes:
        with _damage_told():
            return self._content.read(size)


@contextmanager
def _damage_told() -> Iterator[None]:
    try:
        yield
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, ArithmeticError) as error:
        raise BackupError(
            f"the backup is damaged, incomplete, or not a backup: {error}; use another copy"
        ) from error
