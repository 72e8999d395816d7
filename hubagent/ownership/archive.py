"""One home as one file, written to disk and read again before anybody may rely on it."""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from hubagent.backup import archive
from hubagent.backup.entries import volume_part
from hubagent.backup.manifest import Database, Manifest
from hubagent.backup.ports import Trees
from hubagent.errors import BackupError

_LONGEST: Final = 200  # of a volume's name in a file's


class ArchiveFiles(Protocol):
    """Failures are errors.StorageError and errors.UsageError."""

    def new(self, path: Path) -> AbstractContextManager[BinaryIO]:
        """A file that gets its name when all of it is on disk; root's alone, and never over another."""
        ...

    def old(self, path: Path) -> AbstractContextManager[BinaryIO]: ...


class Archives:
    """One archive is made at a time."""

    def __init__(
        self,
        folder: Path,
        *,
        trees: Trees,
        files: ArchiveFiles,
        make_folder: Callable[[Path], None],
        host: str,
        version: str,
    ) -> None:
        """`folder` is Layout.home_archives."""
        self._folder = folder
        self._trees = trees
        self._files = files
        self._make_folder = make_folder
        self._host = host
        self._version = version

    def keep(self, volume: str, user: str, path: Path, *, now_s: float) -> Path:
        """Everything in the home at `path`, as a file that was read again and is whole. Raises StorageError and
        BackupError; the home is untouched in any case."""
        when = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(now_s))
        file = self._folder / f"{volume[:_LONGEST]}-{when}-{secrets.token_hex(4)}.tar.gz"
        self._make_folder(self._folder)
        for name in self._trees.names(self._folder):
            if name.startswith("."):  # one that was broken off
                self._trees.remove(self._folder / name)
        with self._files.new(file) as sink:
            writer = archive.Writer(sink)
            with writer.part(volume_part(volume)) as part:
                for entry, content in self._trees.walk(path):
                    part.add(entry, content)
            manifest = Manifest(
                version=self._version,
                made_s=now_s,
                host=self._host,
                database=Database.SQLITE,
                homes=True,
                parts=writer.parts,
                users={volume: user},
                left_out=("This is one home, not a whole backup: unpack it with tar -xzf.",),
            )
            writer.finish(manifest)
        with self._files.old(file) as written:
            read, _ = archive.verify(written, version=self._version)
        if read.parts != manifest.parts or not read.parts[0].members:
            raise BackupError(f"{file} does not hold what was written; the home {volume} stays as it is")
        return file
