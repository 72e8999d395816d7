"""Unpacking a tree below a folder that is open: nothing is made outside it, whatever lies in there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

from hubagent.adapters.files.tree_folders import FOLDER, TreePath, open_below, told
from hubagent.backup.entries import Entry, Kind, Readable

_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1 << 20


class LocalTreeWriter:
    """See `backup.ports.TreeWriter`."""

    def __init__(self, root: Path, top: int, ids: tuple[int, int] | None) -> None:
        self._root = root
        self._top = top
        self._ids = ids
        self._at: tuple[TreePath, int] | None = None  # the folder that was used last
        self._folders: list[tuple[TreePath, int]] = []  # their times change while they are filled

    def add(self, entry: Entry, content: Readable | None) -> None:
        with told(self._root.joinpath(*entry.path), "cannot be unpacked"):
            if not entry.path:
                self._settle(self._top, entry)
                self._folders.append((entry.path, entry.mtime_ns))
                return
            folder, name = self._open(entry.path[:-1]), entry.path[-1]
            if entry.kind is Kind.FOLDER:
                self._add_folder(entry, folder, name)
            elif entry.kind is Kind.SYMLINK:
                os.symlink(entry.target, name, dir_fd=folder)
                os.chown(name, *self._owner(entry), dir_fd=folder, follow_symlinks=False)
                os.utime(name, ns=(entry.mtime_ns, entry.mtime_ns), dir_fd=folder, follow_symlinks=False)
            elif entry.kind is Kind.HARD_LINK:
                self._add_link(entry, folder, name)
            else:
                self._add_file(entry, folder, name, content)

    def finish(self) -> None:
        """Folders get their times."""
        for path, mtime_ns in reversed(self._folders):
            with told(self._root.joinpath(*path), "cannot be given its time"):
                os.utime(self._open(path), ns=(mtime_ns, mtime_ns))

    def close(self) -> None:
        if self._at is not None:
            os.close(self._at[1])
            self._at = None

    def _open(self, path: TreePath) -> int:
        if self._at is None or self._at[0] != path:
            self.close()
            self._at = path, open_below(self._top, path)
        return self._at[1]

    def _add_folder(self, entry: Entry, folder: int, name: str) -> None:
        os.mkdir(name, 0o700, dir_fd=folder)
        made = os.open(name, FOLDER, dir_fd=folder)
        try:
            self._settle(made, entry)
        finally:
            os.close(made)
        self._folders.append((entry.path, entry.mtime_ns))

    def _add_file(self, entry: Entry, folder: int, name: str, content: Readable | None) -> None:
        made = os.open(name, _MAKE, 0o600, dir_fd=folder)
        try:
            if content is not None:
                _fill(made, content)
            os.ftruncate(made, entry.size)
            self._settle(made, entry)
            os.utime(made, ns=(entry.mtime_ns, entry.mtime_ns))
        finally:
            os.close(made)

    def _add_link(self, entry: Entry, folder: int, name: str) -> None:
        other = open_below(self._top, entry.linked[:-1])
        try:
            # follow_symlinks: what is a link itself gets a second name, and leads nowhere else by that.
            os.link(entry.linked[-1], name, src_dir_fd=other, dst_dir_fd=folder, follow_symlinks=False)
        finally:
            os.close(other)

    def _settle(self, descriptor: int, entry: Entry) -> None:
        os.fchown(descriptor, *self._owner(entry))
        os.fchmod(descriptor, entry.mode)  # after the owner, whose change takes set-uid away

    def _owner(self, entry: Entry) -> tuple[int, int]:
        return self._ids if self._ids is not None else (entry.uid, entry.gid)


def _fill(descriptor: int, content: Readable) -> None:
    """Leave out what is only zeros: the file gets its size at the end."""
    while chunk := content.read(_CHUNK):
        if chunk.count(0) == len(chunk):
            os.lseek(descriptor, len(chunk), os.SEEK_CUR)
            continue
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]
