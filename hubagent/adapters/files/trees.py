"""`backup.ports.Trees`: read and write folders that belong to users, as root, without being led astray.

Users may change what is in their homes at any moment, also a folder into a symbolic link. So nothing is ever
found by a path: each folder is opened from its parent's descriptor, and a link in its place is not followed.
Folders may be nested as deep as they like, as only one is open at a time.

Out of scope: extended attributes, ACLs, holes (written as zeros, and made holes again when unpacked).
"""

from __future__ import annotations

import grp
import os
import pwd
import shutil
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hubagent.adapters.files.tree_folders import FOLDER, told
from hubagent.adapters.files.tree_walk import Walk
from hubagent.adapters.files.tree_writer import LocalTreeWriter
from hubagent.backup.entries import Entry, Readable
from hubagent.errors import StorageError


class LocalTrees:
    """See `backup.ports.Trees`."""

    def walk(
        self, root: Path, *, skip: Callable[[str], bool] = lambda name: False
    ) -> Iterator[tuple[Entry, Readable | None]]:
        with told(root, "cannot be read"):
            try:
                top = os.open(root, FOLDER & ~os.O_NOFOLLOW)  # where it lies is root's to say
            except FileNotFoundError:
                return
        try:
            yield from Walk(root, top, skip).all()
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
        with told(root, "cannot be made"):
            os.mkdir(root, 0o700)
            top = os.open(root, FOLDER)
        try:
            if os.fstat(top).st_uid != os.geteuid():
                raise StorageError(
                    f"{root}: another program has just created a folder there; find out which one, and try again"
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
        with told(folder, "cannot be listed"):
            try:
                return tuple(sorted(os.listdir(folder)))
            except FileNotFoundError:
                return ()

    def move(self, source: Path, target: Path) -> None:
        with told(source, f"cannot be moved to {target}"):
            os.rename(source, target)

    def make_parents(self, path: Path) -> None:
        missing = [folder for folder in path.parents if not folder.exists()]
        with told(path, "its folder cannot be made"):
            for folder in reversed(missing):
                folder.mkdir()
                folder.chmod(0o755)

    def remove(self, path: Path) -> None:
        with told(path, "cannot be removed"), suppress(FileNotFoundError):
            if stat.S_ISDIR(os.lstat(path).st_mode):
                shutil.rmtree(path)
            else:
                os.unlink(path)

    def sync(self) -> None:
        os.sync()
