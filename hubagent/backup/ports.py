"""What backups need of the world beyond ports.FileStore, as Protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hubagent.backup.entries import Entry, Readable
from hubagent.pool.ports import Containers
from hubagent.ports import Clock, FileStore


class TreeWriter(Protocol):
    """Unpacks into one folder, and never out of it, whatever is in there and whatever it is given."""

    def add(self, entry: Entry, content: Readable | None) -> None:
        """Make one thing that is not there yet; its folder is. Raises StorageError."""
        ...


class Trees(Protocol):
    """Folders as they lie on this machine. No symbolic link is followed. Failures are errors.StorageError."""

    def walk(
        self, root: Path, *, skip: Callable[[str], bool] = lambda name: False
    ) -> Iterator[tuple[Entry, Readable | None]]:
        """Everything below `root`, `root` itself first and each folder before what is in it; with the content
        of files, to be read before the next. `skip` says which names directly in `root` are passed over.
        What vanishes meanwhile is left out, and so are devices, sockets and FIFOs; an absent root is empty."""
        ...

    def write(self, root: Path, *, owner: str | None = None) -> AbstractContextManager[TreeWriter]:
        """Into a new, empty folder, which is root's alone; its parent exists. With `owner` everything in it
        gets this user's name and group, whatever the entries say."""
        ...

    def names(self, folder: Path) -> tuple[str, ...]:
        """What is in it; nothing when it is absent."""
        ...

    def move(self, source: Path, target: Path) -> None:
        """Rename on the same file system. Nothing is at `target`, or an empty folder."""
        ...

    def make_parents(self, path: Path) -> None:
        """The folders above it, mode 0755 where they are new."""
        ...

    def remove(self, path: Path) -> None:
        """A file or folder with all in it; absent is fine."""
        ...

    def sync(self) -> None:
        """Until everything written so far is on disk."""
        ...


class Databases(Protocol):
    """The hub's SQLite database, which may be in use. Failures are errors.StorageError."""

    def snapshot(self, source: Path, target: Path) -> bool:
        """Copy it as it is at one moment into a new file; False when there is none."""
        ...

    def names(self, file: Path) -> tuple[str, ...]:
        """Of all users in it, sorted."""
        ...

    def people(self, file: Path) -> tuple[str, ...]:
        """Names of those who have logged in or signed up, sorted; nobody when there is no database. An admin
        who was made by the hub itself and has not come yet is none of them."""
        ...

    def settle(self, file: Path) -> None:
        """Put everything into the one file that is not in use now, as far as that is possible."""
        ...


@dataclass(frozen=True, slots=True)
class BackupPorts:
    """All that a backup is made and restored with, of one machine."""

    files: FileStore
    trees: Trees
    databases: Databases
    containers: Containers
    clock: Clock
