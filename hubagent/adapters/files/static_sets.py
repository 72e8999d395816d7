"""`images.static_ports.Sets` on this machine's disk. A set is written aside, synced, and appears by one rename.

nginx's workers read it as another user, so the modes of all that is in it are set whatever the umask is.
"""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hubagent.adapters.files.store import sync_folder
from hubagent.errors import StorageError

_NAME: Final = re.compile(r"[0-9a-f]{32}")
_ASIDE: Final = ".new-"
_MADE_S: Final = 946684800
"""Time of all files: the first second of 2000. nginx makes an ETag of time and size; a set is named by its content,
and so has the same wherever and whenever it was taken."""


class LocalSets:
    """In `folder`, whose parent must exist."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def begin(self) -> LocalSetWriter:
        aside = self._folder / f"{_ASIDE}{secrets.token_hex(8)}"
        with _told(self._folder):
            _make(aside)
        return LocalSetWriter(self._folder, aside)

    def names(self) -> frozenset[str]:
        with _told(self._folder):
            return frozenset(name for name in os.listdir(self._folder) if _NAME.fullmatch(name))

    def remove(self, name: str) -> None:
        with _told(self._folder):
            shutil.rmtree(self._folder / name)

    def sweep(self) -> None:
        with _told(self._folder):
            _make(self._folder)
            for name in os.listdir(self._folder):
                if name.startswith(_ASIDE):
                    shutil.rmtree(self._folder / name)

    def free_bytes(self) -> int:
        with _told(self._folder):
            facts = os.statvfs(self._folder)
        return facts.f_bavail * facts.f_frsize


class LocalSetWriter:
    """One set, written in `aside`."""

    def __init__(self, folder: Path, aside: Path) -> None:
        self._folder = folder
        self._aside = aside
        self._is_published = False

    def write(self, path: str, content: bytes) -> None:
        target = self._aside / path
        with _told(target):
            for folder in reversed(target.relative_to(self._aside).parents[:-1]):
                _make(self._aside / folder)
            descriptor = os.open(
                target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600
            )
            with open(descriptor, "wb", buffering=0) as file:
                rest = memoryview(content)
                while rest:
                    rest = rest[file.write(rest) :]
                os.fchmod(descriptor, 0o644)
                os.utime(descriptor, (_MADE_S, _MADE_S))

    def publish(self, name: str) -> None:
        with _told(self._folder):
            if (self._folder / name).exists():
                return
            for folder, _, files in os.walk(
                self._aside, topdown=False
            ):  # last of all: so the disk writes them together
                for file in files:
                    _sync(f"{folder}/{file}")
                sync_folder(Path(folder))
            os.rename(self._aside, self._folder / name)
            self._is_published = True
            sync_folder(self._folder)

    def discard(self) -> None:
        if not self._is_published:
            shutil.rmtree(self._aside, ignore_errors=True)


def _make(folder: Path) -> None:
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)


def _sync(file: str) -> None:
    descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _told(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{error.filename or path}: static files cannot be kept: {error.strerror or error}; see `df -h` and `df -i`"
        ) from error
