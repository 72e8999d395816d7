"""`backup.ports.Trees`: read and write folders that belong to users, as root, without being led astray.

Users may change what is in their homes at any moment, also a folder into a symbolic link. So nothing is ever
found by a path: each folder is opened from its parent's descriptor, and a link in its place is not followed.
Folders may be nested as deep as they like, as only one is open at a time.

Out of scope: extended attributes, ACLs, holes (written as zeros, and made holes again when unpacked).
"""

from __future__ import annotations

import errno
import grp
import os
import pwd
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from hubagent.backup.entries import LATEST_NS, Entry, Kind, Readable
from hubagent.errors import StorageError
from hubagent.observability.terminal import clean

_FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
_MAKE: Final = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_CHUNK: Final = 1 << 20
_GONE: Final = frozenset({errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV})
"""What the calls below say of something that has vanished, or become something else, since it was looked at."""

_Path = tuple[str, ...]


class LocalTrees:
    """See `backup.ports.Trees`."""

    def walk(
        self, root: Path, *, skip: Callable[[str], bool] = lambda name: False
    ) -> Iterator[tuple[Entry, Readable | None]]:
        with _told(root, "cannot be read"):
            try:
                top = os.open(root, _FOLDER & ~os.O_NOFOLLOW)  # where it lies is root's to say
            except FileNotFoundError:
                return
        try:
            yield from _Walk(root, top, skip).all()
        finally:
            os.close(top)

    @contextmanager
    def write(self, root: Path, *, owner: str | None = None) -> Iterator[LocalTreeWriter]:
        ids = None
        if owner is not None:
            with suppress(KeyError):
                ids = pwd.getpwnam(owner).pw_uid, grp.getgrnam(owner).gr_gid
            if ids is None:
                raise StorageError(
                    f"{root}: there is no user and group {owner}; reinstall the package hubagent"
                )
        with _told(root, "cannot be made"):
            os.mkdir(root, 0o700)
            top = os.open(root, _FOLDER)
        try:
            if os.fstat(top).st_uid != os.geteuid():
                raise StorageError(
                    f"{root}: somebody else has just put a folder there; look who, and try again"
                )
            writer = LocalTreeWriter(root, top, ids)
            try:
                yield writer
                writer.finish()
            finally:
                writer.close()
        finally:
            os.close(top)

    def names(self, folder: Path) -> tuple[str, ...]:
        with _told(folder, "cannot be listed"):
            try:
                return tuple(sorted(os.listdir(folder)))
            except FileNotFoundError:
                return ()

    def move(self, source: Path, target: Path) -> None:
        with _told(source, f"cannot be moved to {target}"):
            os.rename(source, target)

    def make_parents(self, path: Path) -> None:
        missing = [folder for folder in path.parents if not folder.exists()]
        with _told(path, "its folder cannot be made"):
            for folder in reversed(missing):
                folder.mkdir()
                folder.chmod(0o755)

    def remove(self, path: Path) -> None:
        with _told(path, "cannot be removed"), suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def sync(self) -> None:
        os.sync()


class _Walk:
    """One look through a folder that is open as `top`."""

    def __init__(self, root: Path, top: int, skip: Callable[[str], bool]) -> None:
        self._root = root
        self._top = top
        self._skip = skip
        self._linked: dict[tuple[int, int], _Path] = {}  # files with several names, by device and number

    def all(self) -> Iterator[tuple[Entry, Readable | None]]:
        waiting: list[_Path] = [()]
        while waiting:
            path = waiting.pop()
            with _told(self._root.joinpath(*path), "cannot be read"):
                try:
                    folder = open_below(self._top, path)
                except OSError as error:
                    if error.errno not in _GONE:
                        raise
                    continue
            try:
                yield _entry(path, Kind.FOLDER, os.fstat(folder)), None
                below: list[_Path] = []
                for name in self._names(path, folder):
                    yield from self._one((*path, name), folder, below)
                waiting.extend(reversed(below))
            finally:
                os.close(folder)

    def _names(self, path: _Path, folder: int) -> list[str]:
        with _told(self._root.joinpath(*path), "cannot be listed"):
            return [name for name in sorted(os.listdir(folder)) if path or not self._skip(name)]

    def _one(self, path: _Path, folder: int, below: list[_Path]) -> Iterator[tuple[Entry, Readable | None]]:
        name = path[-1]
        with _told(self._root.joinpath(*path), "cannot be read"), _gone_is_no_error():
            facts = os.lstat(name, dir_fd=folder)
            if stat.S_ISDIR(facts.st_mode):
                below.append(path)
            elif stat.S_ISLNK(facts.st_mode):
                yield _entry(path, Kind.SYMLINK, facts, target=os.readlink(name, dir_fd=folder)), None
            elif stat.S_ISREG(facts.st_mode):
                with _open(name, folder) as file:
                    yield from self._file(path, file)

    def _file(self, path: _Path, file: BinaryIO) -> Iterator[tuple[Entry, Readable | None]]:
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
        with _told(self._path, "cannot be read"):
            return self._file.read(size)


class LocalTreeWriter:
    """See `backup.ports.TreeWriter`."""

    def __init__(self, root: Path, top: int, ids: tuple[int, int] | None) -> None:
        self._root = root
        self._top = top
        self._ids = ids
        self._at: tuple[_Path, int] | None = None  # the folder that was used last
        self._folders: list[tuple[_Path, int]] = []  # their times change while they are filled

    def add(self, entry: Entry, content: Readable | None) -> None:
        with _told(self._root.joinpath(*entry.path), "cannot be unpacked"):
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
            with _told(self._root.joinpath(*path), "cannot be given its time"):
                os.utime(self._open(path), ns=(mtime_ns, mtime_ns))

    def close(self) -> None:
        if self._at is not None:
            os.close(self._at[1])
            self._at = None

    def _open(self, path: _Path) -> int:
        if self._at is None or self._at[0] != path:
            self.close()
            self._at = path, open_below(self._top, path)
        return self._at[1]

    def _add_folder(self, entry: Entry, folder: int, name: str) -> None:
        os.mkdir(name, 0o700, dir_fd=folder)
        made = os.open(name, _FOLDER, dir_fd=folder)
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


def open_below(top: int, path: _Path) -> int:
    """The folder at `path` below an open one; every step is a real folder. Raises OSError."""
    folder = os.dup(top)
    try:
        for name in path:
            following = os.open(name, _FOLDER, dir_fd=folder)
            os.close(folder)
            folder = following
    except BaseException:
        os.close(folder)
        raise
    return folder


def _open(name: str, folder: int) -> BinaryIO:
    return open(os.open(name, _READ, dir_fd=folder), "rb", buffering=0)


def _fill(descriptor: int, content: Readable) -> None:
    """Leave out what is only zeros: the file gets its size at the end."""
    while chunk := content.read(_CHUNK):
        if chunk.count(0) == len(chunk):
            os.lseek(descriptor, len(chunk), os.SEEK_CUR)
            continue
        rest = memoryview(chunk)
        while rest:
            rest = rest[os.write(descriptor, rest) :]


def _entry(
    path: _Path,
    kind: Kind,
    facts: os.stat_result,
    *,
    size: int = 0,
    target: str = "",
    linked: _Path = (),
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


@contextmanager
def _told(path: Path, what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{clean(str(path))}: {what}: {error.strerror or error}; check the disk and `dmesg`"
        ) from error
