"""A file tree in memory that knows what a power cut would leave of it.

Every file has content that was synced and content that was not, every folder has names that were synced and
names that were not. The rules are those of POSIX: fsync of a file saves its content, fsync of a folder saves
the names in it, and nothing else is promised.
"""

from __future__ import annotations

import enum
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

_MAX_LINKS = 40


class Survivors(enum.Enum):
    """What of the unsynced state is on the disk after the power came back."""

    NOTHING = "nothing"
    NAMES = "names"  # renames and removals were written, contents were not: the classic empty file
    EVERYTHING = "everything"


@dataclass
class File:
    """A regular file, or a special one when `kind` says so."""

    content: bytes = b""
    synced: bytes = b""
    mode: int = 0o600
    owner: str = "root"
    group: str = "root"
    kind: str = ""


@dataclass
class Link:
    target: str


@dataclass
class Folder:
    mode: int = 0o755
    owner: str = "root"
    group: str = "root"
    names: dict[str, Node] = field(default_factory=dict)
    synced: dict[str, Node] = field(default_factory=dict)


Node = File | Link | Folder


class Tree:
    """Path lookups and the few changes; faults are OSErrors as the kernel gives them."""

    def __init__(self) -> None:
        self.root = Folder()

    def folder(self, path: Path) -> Folder:
        node = self.find(path, follow=True)
        if isinstance(node, Folder):
            return node
        raise _os_error(errno.ENOENT if node is None else errno.ENOTDIR)

    def find(self, path: Path, *, follow: bool) -> Node | None:
        """What is at this path; links in the folders before it are always followed."""
        return self._resolve(self.root, [self.root], list(path.parts[1:]), follow=follow, links=0)

    def cut_power(self, survivors: Survivors) -> None:
        for folder in list(self._folders(self.root)):
            if survivors is Survivors.NOTHING:
                folder.names = dict(folder.synced)
            else:
                folder.synced = dict(folder.names)
        for file in list(self._files(self.root)):
            if survivors is not Survivors.EVERYTHING:
                file.content = file.synced
            file.synced = file.content

    def sync_all(self) -> None:
        self.cut_power(Survivors.EVERYTHING)

    def contents(self) -> dict[str, bytes]:
        """Every regular file, by path."""
        return dict(self._walk(self.root, "/"))

    def _resolve(
        self, start: Folder, parents: list[Folder], parts: list[str], *, follow: bool, links: int
    ) -> Node | None:
        node: Node = start
        while parts:
            if not isinstance(node, Folder):
                raise _os_error(errno.ENOTDIR)
            part = parts.pop(0)
            if part == "..":
                parents = parents[:-1] or [self.root]
                node = parents[-1]
                continue
            child = node.names.get(part)
            if child is None:
                if parts:
                    raise _os_error(errno.ENOENT)
                return None
            if isinstance(child, Link) and (parts or follow):
                if links == _MAX_LINKS:
                    raise _os_error(errno.ELOOP)
                links += 1
                target = Path(child.target)
                if target.is_absolute():
                    node, parents = self.root, [self.root]
                    parts = [*target.parts[1:], *parts]
                else:
                    parts = [*target.parts, *parts]
                continue
            node = child
            if isinstance(node, Folder):
                parents = [*parents, node]
        return node

    def _folders(self, folder: Folder) -> Iterator[Folder]:
        """Including those that only the synced names still reach."""
        yield folder
        for child in {id(node): node for node in (*folder.names.values(), *folder.synced.values())}.values():
            if isinstance(child, Folder):
                yield from self._folders(child)

    def _files(self, folder: Folder) -> Iterator[File]:
        for child in folder.names.values():
            if isinstance(child, File):
                yield child
            elif isinstance(child, Folder):
                yield from self._files(child)

    def _walk(self, folder: Folder, prefix: str) -> Iterator[tuple[str, bytes]]:
        for name, child in sorted(folder.names.items()):
            if isinstance(child, File):
                yield prefix + name, child.content
            elif isinstance(child, Folder):
                yield from self._walk(child, f"{prefix}{name}/")


def _os_error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
