"""`ownership.archive.ArchiveFiles`, and how large a home is."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, cast

from hubagent.adapters.files.backup_file import new_file, old_file
from hubagent.adapters.files.tree_folders import FOLDER


class LocalArchiveFiles:
    @contextmanager
    def new(self, path: Path) -> Iterator[BinaryIO]:
        with new_file(path, overwrite=False) as file:
            yield cast("BinaryIO", file)

    @contextmanager
    def old(self, path: Path) -> Iterator[BinaryIO]:
        with old_file(path) as (file, _):
            yield cast("BinaryIO", file)


def size_of(path: Path, *, until_s: float) -> int | None:
    """Bytes on disk of everything below, without following links; None when that takes until `until_s`
    (monotonic), or cannot be told."""
    total = 0
    try:
        waiting = [os.open(path, FOLDER & ~os.O_NOFOLLOW)]
    except OSError:
        return None
    try:
        while waiting:
            folder = waiting.pop()
            try:
                for name in os.listdir(folder):
                    if time.monotonic() >= until_s:
                        return None
                    facts = os.lstat(name, dir_fd=folder)
                    total += facts.st_blocks * 512
                    if stat.S_ISDIR(facts.st_mode):
                        waiting.append(os.open(name, FOLDER, dir_fd=folder))
            finally:
                os.close(folder)
    except OSError:
        return None
    finally:
        for folder in waiting:
            os.close(folder)
    return total
