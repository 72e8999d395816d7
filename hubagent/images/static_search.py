"""Where static files are in an image, and taking them out: one set for each folder that a page names.

Where Jupyter's packages put what they share is known; an image that has it elsewhere is served by its servers alone.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Final

from hubagent import wire
from hubagent.images.static_folder import Folder, RefusedError, is_plain
from hubagent.images.static_ports import Entry, ImageFiles, Sets, SetWriter
from hubagent.ports import Clock

_MOST_ENTRIES: Final = 100_000
_MOST_BYTES: Final = 2 * 1024**3
"""Of all folders of an image, whether anything of them is taken or not."""

_LAB: Final = "share/jupyter/lab/static"
_EXTENSIONS: Final = "share/jupyter/labextensions"
_STATIC: Final = "static"
_TEMPLATES: Final = "templates"
_TEMPLATE: Final = "tree.html"
"""Of Notebook's package: its bundle, and pages, each of which names the bundle's script."""
_TEMPLATE_BYTES: Final = 1024**2
_SYSTEM: Final = (PurePosixPath("/usr/local"), PurePosixPath("/usr"))


@dataclass(frozen=True)
class Taken:
    """A folder of an image, as a published set."""

    folder: str  # in the container
    path: str  # below the address of a user's server, such as static/lab
    set: str
    listing: str  # wire.listing_of
    first_page: tuple[str, ...]  # addresses in the site of what a first page needs, in that order

    @property
    def url(self) -> str:
        return f"{wire.STATIC_PATH}/{self.set}/{self.path}"


@dataclass(frozen=True)
class Found:
    """All that was found in an image."""

    taken: tuple[Taken, ...]
    refused: tuple[str, ...]  # folders that are not served, each with why, for people


class Search:
    """One image, while it is looked through: for half of the time, so that users' starts have the processors, of which
    the agent has the first share."""

    def __init__(self, image_files: ImageFiles, sets: Sets, container: str, clock: Clock) -> None:
        self._image_files = image_files
        self._sets = sets
        self._container = container
        self._clock = clock
        self._entries = 0
        self._bytes = 0
        self._taken: list[Taken] = []
        self._refused: list[str] = []
        self._page = b""  # of Notebook, once it was seen
        # The one that is being taken: its folder, its path below a server's address.
        self._open: tuple[str, str, Folder, SetWriter] | None = None
        self._closed: set[str] = set()  # folders that are done with

    def all(self, prefixes: Sequence[PurePosixPath], notebook: PurePosixPath | None) -> Found:
        """`notebook` is the folder of Notebook's package."""
        try:
            self._all(prefixes, notebook)
        except RefusedError as error:  # what is whole already is good
            self._refused.append(str(error))
        return Found(tuple(self._taken), tuple(self._refused))

    def _all(self, prefixes: Sequence[PurePosixPath], notebook: PurePosixPath | None) -> None:
        for prefix in prefixes:
            self._visit(str(prefix / _LAB), self._lab)
        if notebook is not None:
            self._visit(str(notebook / _TEMPLATES), self._template)
            self._visit(str(notebook / _STATIC), self._notebook)
        for prefix in prefixes:
            self._visit(str(prefix / _EXTENSIONS), self._extension)

    def _visit(self, folder: str, visitor: Callable[[str, Entry], None]) -> None:
        def counted(entry: Entry) -> None:
            self._entries += 1
            self._bytes += entry.size_bytes
            if self._entries > _MOST_ENTRIES or self._bytes > _MOST_BYTES:
                raise RefusedError(f"{folder}: there are more files, or larger ones, than pages can have")
            begun_s = self._clock.monotonic()
            visitor(folder, entry)
            self._clock.sleep(self._clock.monotonic() - begun_s)

        try:
            self._image_files.visit(self._container, folder, counted)
            self._close()
        finally:
            if self._open is not None:
                self._open[3].discard()
                self._open = None

    def _lab(self, top: str, entry: Entry) -> None:
        self._add(top, "static/lab", entry.path, entry)

    def _template(self, _top: str, entry: Entry) -> None:
        if entry.path == _TEMPLATE and entry.is_file and entry.size_bytes <= _TEMPLATE_BYTES:
            self._page = entry.read()

    def _notebook(self, top: str, entry: Entry) -> None:
        self._add(top, "static/notebook", entry.path, entry, self._page)

    def _extension(self, top: str, entry: Entry) -> None:
        parts = entry.path.split("/")
        own = 2 if parts[0].startswith("@") else 1
        name = "/".join(parts[:own])
        if parts[own : own + 1] == ["static"] and is_plain(name):
            below = "/".join(parts[own + 1 :])
            self._add(f"{top}/{name}/static", f"lab/extensions/{name}/static", below, entry)

    def _add(self, folder: str, path: str, below: str, entry: Entry, page: bytes = b"") -> None:
        """`page` is one that names the folder's script, where that is no file of the folder."""
        if self._open is None or self._open[0] != folder:
            self._close()
            if folder in self._closed:
                return
            writer = self._sets.begin()
            self._open = folder, path, Folder(path, writer, page), writer
        try:
            self._open[2].add(below, entry)
        except RefusedError as error:
            self._refuse(error)

    def _close(self) -> None:
        if self._open is None:
            return
        folder, path, files, writer = self._open
        try:
            name, listing = files.publish()
        except RefusedError as error:
            self._refuse(error)
            return
        writer.discard()
        first_page = tuple(f"{wire.STATIC_PATH}/{name}/{address}" for address in files.first_page())
        self._taken.append(Taken(folder, path, name, listing, first_page))
        self._closed.add(folder)
        self._open = None

    def _refuse(self, error: RefusedError) -> None:
        assert self._open is not None
        folder, _, _, writer = self._open
        writer.discard()
        self._refused.append(f"{folder}: {error}")
        self._closed.add(folder)
        self._open = None


def prefixes(python: str) -> tuple[PurePosixPath, ...]:
    """Where this interpreter's packages put what they share, and where the system's do (jupyter_core.paths)."""
    own = PurePosixPath(python).parent.parent
    if not own.is_absolute() or ".." in own.parts or not str(own).isprintable():
        return _SYSTEM
    return tuple(dict.fromkeys((own, *_SYSTEM)))


def notebook(folder: str) -> PurePosixPath | None:
    """Where Notebook's package is, by what the proof says; None without one, and for what can be no folder of that
    name."""
    path = PurePosixPath(folder)
    is_one = path.is_absolute() and path.name == "notebook" and ".." not in path.parts
    return path if is_one and folder.isprintable() else None
