"""The file a backup is in: written whole or not at all, read several times; with word of how far it is."""

from __future__ import annotations

import os
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO, Final

from hubagent.errors import StorageError, UsageError

_READ: Final = os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC

Told = Callable[[int], None]
"""Told the bytes written, or read, so far."""


@contextmanager
def new_file(path: Path, *, overwrite: bool, told: Told = lambda count: None) -> Iterator[Watched]:
    """A temporary file beside `path`, root's alone, that gets the name when all is on disk. Raises UsageError
    when something is there that must not be overwritten, StorageError."""
    if os.path.lexists(path) and not overwrite:
        raise _is_there(path)
    if path.is_dir():
        raise UsageError(f"{path} is a folder; name a file in it")
    with _told(path):
        descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
        temporary = Path(name)
        try:
            with open(descriptor, "wb") as file:
                yield Watched(file, told)
                file.flush()
                os.fsync(descriptor)
            _give_name(temporary, path, overwrite=overwrite)
            _sync(path.parent)
        finally:
            with suppress(FileNotFoundError):
                temporary.unlink()


@contextmanager
def old_file(path: Path, *, told: Told = lambda count: None) -> Iterator[tuple[Watched, int]]:
    """With its size. Raises UsageError for what is not a regular file, StorageError."""
    try:
        descriptor = os.open(path, _READ)
    except FileNotFoundError:
        raise UsageError(f"{path} does not exist") from None
    except OSError as error:
        raise StorageError(f"{path}: cannot be read: {error.strerror}") from error
    with open(descriptor, "rb") as file:
        facts = os.fstat(descriptor)
        if not stat.S_ISREG(facts.st_mode):
            raise UsageError(f"{path} is not a regular file; a backup is read more than once")
        yield Watched(file, told), facts.st_size


class Watched:
    """As much of a file as an archive needs."""

    def __init__(self, file: BinaryIO, told: Told) -> None:
        self._file = file
        self._told = told
        self.count = 0

    def read(self, size: int = -1, /) -> bytes:
        chunk = self._file.read(size)
        self._count(len(chunk))
        return chunk

    def write(self, chunk: bytes, /) -> int:
        written = self._file.write(chunk)
        self._count(written)
        return written

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        self.count = 0
        return self._file.seek(offset, whence)

    def flush(self) -> None:
        self._file.flush()

    def _count(self, size: int) -> None:
        self.count += size
        self._told(self.count)


def _give_name(temporary: Path, path: Path, *, overwrite: bool) -> None:
    if not overwrite:
        try:
            os.link(temporary, path)  # unlike a rename, never over something that came meanwhile
        except FileExistsError:
            raise _is_there(path) from None
        except OSError:  # a file system without links
            if os.path.lexists(path):
                raise _is_there(path) from None
        else:
            return
    os.replace(temporary, path)


def _is_there(path: Path) -> UsageError:
    return UsageError(f"{path} is there already; use another name, or --overwrite")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with suppress(OSError):  # some network file systems cannot sync a folder
            os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{path}: cannot be written: {error.strerror or error}; look at `df -h` and the folder"
        ) from error
