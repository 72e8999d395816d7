"""What static files need of the world: the files of an image, and the folder that nginx reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from hubagent.pool.ports import Containers
from hubagent.ports import Clock, FileStore, HttpProbe


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a folder of a container. Whoever made the image chose every part of it."""

    path: str  # from the folder, as the container has it; empty for the folder itself
    is_file: bool  # regular, and no second name of another file
    is_folder: bool
    size_bytes: int
    read: Callable[[], bytes]  # the content of a file; valid until the visitor returns


Visitor = Callable[[Entry], None]
"""What it raises ends the visit, and is raised to whoever asked for it."""


class ImageFiles(Protocol):
    """Files of containers that need not run. Failures are errors.ContainerError."""

    def visit(self, container: str, folder: str, visitor: Visitor) -> bool:
        """Show every entry below the folder, parents first; False when there is nothing of this name. Links are shown
        as such and never followed, not even by the last part of `folder`."""
        ...


class SetWriter(Protocol):
    """A set that nobody sees yet. Failures are errors.StorageError."""

    def write(self, path: str, content: bytes) -> None:
        """A new file, with the folders that it is in; `path` is from the set, without `..`."""
        ...

    def publish(self, name: str) -> None:
        """All of it appears at once under this name, on disk; one that is there already stays, as it is the same."""
        ...

    def discard(self) -> None:
        """Remove what was written; never raises. Nothing happens after `publish`."""
        ...


class Sets(Protocol):
    """The folder that nginx reads: one folder for each set. Failures are errors.StorageError."""

    def begin(self) -> SetWriter: ...

    def names(self) -> frozenset[str]:
        """Of the published ones."""
        ...

    def remove(self, name: str) -> None: ...

    def sweep(self) -> None:
        """Make the folder, readable for nginx, and remove what a killed agent had begun."""
        ...

    def free_bytes(self) -> int:
        """On its disk."""
        ...


@dataclass(frozen=True, slots=True)
class StaticPorts:
    """All that static files need of the world."""

    containers: Containers
    image_files: ImageFiles
    sets: Sets
    probe: HttpProbe
    files: FileStore
    clock: Clock
