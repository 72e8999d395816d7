"""Folders of users, reached from descriptor to descriptor: a link in the place of one is not followed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from hubagent.errors import StorageError
from hubagent.text import clean

FOLDER: Final = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC

TreePath = tuple[str, ...]
"""Names from a tree's root down; empty for the root itself."""


def open_below(top: int, path: TreePath) -> int:
    """The folder at `path` below an open one; every step is a real folder. Raises OSError."""
    folder = os.dup(top)
    try:
        for name in path:
            following = os.open(name, FOLDER, dir_fd=folder)
            os.close(folder)
            folder = following
    except BaseException:
        os.close(folder)
        raise
    return folder


@contextmanager
def told(path: Path, what: str) -> Iterator[None]:
    """Raises StorageError, which says what of the path went wrong, for any OSError."""
    try:
        yield
    except OSError as error:
        raise StorageError(
            f"{clean(str(path))}: {what}: {error.strerror or error}; check the disk and `dmesg`"
        ) from error
