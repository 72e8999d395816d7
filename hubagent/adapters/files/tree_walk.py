"""Reading a tree that its owner may change meanwhile: what vanishes, or becomes something else, is left out."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final

from hubagent.adapters.files.tree_folders import TreePath, open_below, told
from hubagent.backup.entries import LATEST_NS, Entry, Kind, Readable

_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV})
"""What the calls below say of something that has vanished, or become something else, since it was looked at."""


class Walk:
    """One walk through a folder that is open as `top`."""

    def __init__(self, root: Path, top: int, skip: Callable[[str], bool]) -> None:
        self._root = root
        self._top = top
        self._skip = skip
        self._linked: dict[tuple[int, int], TreePath] = {}  # files with several names, by device and number

    def all(self) -> Iterator[tuple[Entry, Readable | None]]:
        waiting: list[TreePath] = [()]
        while waiting:
            path = waiting.pop()
            with told(self._root.joinpath(*path), "cannot be read"):
                try:
                    folder = open_below(self._top, path)
                except OSError as error:
                    if error.errno not in _GONE:
                        raise
                    continue
            try:
                yield _entry(path, Kind.FOLDER, os.fstat(folder)), None
                below: list[TreePath] = []
                for name in self._names(path, folder):
                    yield from self._one((*path, name), folder, below)
                waiting.extend(reversed(below))
            finally:
                os.close(folder)

    def _names(self, path: TreePath, folder: int) -> list[str]:
        with told(self._root.joinpath(*path), "cannot be listed"):
            return [name for name in sorted(os.listdir(folder)) if path or not self._skip(name)]

    def _one(
        self, path: TreePath, folder: int, below: list[TreePath]
    ) -> Iterator[tuple[Entry, Readable | None]]:
        name = path[-1]
        with told(self._root.joinpath(*path), "cannot be read"), _gone_is_no_error():
            facts = os.lstat(name, dir_fd=folder)
            if stat.S_ISDIR(facts.st_mode):
                below.append(path)
            elif stat.S_ISLNK(facts.st_mode):
                yield _entry(path, Kind.SYMLINK, facts, target=os.readlink(name, dir_fd=folder)), None
            elif stat.S_ISREG(facts.st_mode):
                with _open(name, folder) as file:
                    yield from self._file(path, file)

    def _file(self, path: TreePath, file: BinaryIO) -> Iterator[tuple[Entry, Readable | None]]:
        facts = os.fstat(file.fileno())
        if not stat.S_ISREG(facts.st_mode):
            return
        number = facts.st_dev, facts.st_ino
        if number in self._linked:
            yield _entry(path, Kind.HARD_LINK, facts, linked=self._linked[number]), None
            return
        if facts.st_nlink > 1:
            self._linked[number] = path
        yield _entry(path, Kind.FILE, facts, size=facts.st_size), _Content(self._root.joinpath(*path), file)


class _Content:
    """Of a file, with errors that name it."""

    def __init__(self, path: Path, file: BinaryIO) -> None:
        self._path = path
        self._file = file

    def read(self, size: int = -1, /) -> bytes:
        with told(self._path, "cannot be read"):
            return self._file.read(size)


def _open(name: str, folder: int) -> BinaryIO:
    return open(os.open(name, _READ, dir_fd=folder), "rb", buffering=0)


def _entry(
    path: TreePath,
    kind: Kind,
    facts: os.stat_result,
    *,
    size: int = 0,
    target: str = "",
    linked: TreePath = (),
) -> Entry:
    return Entry(
        path=path,
        kind=kind,
        mode=stat.S_IMODE(facts.st_mode),
        uid=facts.st_uid,
        gid=facts.st_gid,
        mtime_ns=min(max(0, facts.st_mtime_ns), LATEST_NS),
        size=size,
        target=target,
        linked=linked,
    )


@contextmanager
def _gone_is_no_error() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno not in _GONE:
            raise
