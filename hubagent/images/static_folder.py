"""One folder of static files on its way out of an image: what is taken, what is left, what is refused.

An image is a stranger's. Its files are served under the site's own name, so only kinds that a page loads are taken, as
regular files with plain names; a folder with anything that looks like an attack is refused whole.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import zlib
from collections.abc import Callable, Mapping
from typing import Final

from hubagent import wire
from hubagent.errors import ImageError
from hubagent.images.first_page import FirstPage
from hubagent.images.static_ports import Entry, SetWriter

PLAIN: Final = "plain"
"""The folder of a set in which its files are as they were taken. Beside it there is one for each encoding (RFC 9110,
8.4.1), with those that are smaller then; nginx looks there first."""

COMPRESSED: Final = frozenset({"js", "mjs", "css", "json", "svg", "ttf", "otf", "eot", "wasm"})
STORED: Final = frozenset({"woff", "woff2", "png", "jpg", "jpeg", "gif", "webp", "ico"})
"""Endings of names that are taken: what conf/templates/nginx.conf.j2 knows a type for. No HTML: nothing that is taken
out of an image is a page of the site."""

MOST_FILES: Final = 5000
"""Of one folder. JupyterLab 4.6 has 305."""
MOST_BYTES: Final = 256 * 1024**2
"""Of one folder. JupyterLab 4.6 has 17 MiB."""
MOST_FILE_BYTES: Final = 32 * 1024**2

SET_FILE: Final = "set.json"
"""Of every set, at its top: what the agent asks nginx for, to see that it serves the set."""

_NAME: Final = r"[A-Za-z0-9_@+~-][A-Za-z0-9_@+~.-]{0,199}"
_PLAIN: Final = re.compile(f"(?:{_NAME}/){{0,8}}{_NAME}")
_WORTH_IT: Final = 0.95  # of a file's size: what is not smaller than this is not kept compressed
_SMALLEST: Final = 256  # bytes: below, all fits in one packet anyway


def encodings() -> Mapping[str, Callable[[bytes], bytes]]:
    """How files are compressed ahead, by the names of content-encodings."""
    found: dict[str, Callable[[bytes], bytes]] = {"gzip": lambda content: gzip.compress(content, 9, mtime=0)}
    try:
        import brotli
    except ImportError:  # the package suggests python3-brotli, and no more: an upgrade would be held back
        return found
    return {**found, "br": lambda content: bytes(brotli.compress(content, quality=9))}


_ENCODINGS: Final = encodings()


def is_plain(path: str) -> bool:
    """Can it be part of an address, and of a path on disk, as it is?"""
    return _PLAIN.fullmatch(path) is not None


class RefusedError(ImageError):
    """This folder is not served; says why. It stays so until the image is another."""


class Folder:
    """Takes the entries of one folder into a set. `path` is where a user's server has it, below its own address; `page`
    is the template of one that names the folder's script, where that is no file of the folder."""

    def __init__(self, path: str, writer: SetWriter, page: bytes = b"") -> None:
        self._path = path
        self._writer = writer
        self._sizes: dict[str, int] = {}
        self._digests: dict[str, str] = {}
        self._bytes = 0
        self._first_page = FirstPage(page)

    def add(self, path: str, entry: Entry) -> None:
        """`path` is from this folder. Raises RefusedError, and StorageError when the disk is full."""
        if not path.isprintable() or "\\" in path or ".." in path.split("/") or path.startswith("/"):
            raise RefusedError(f"it has a file named {path[:80]!a}")
        if entry.is_folder:
            return
        if not entry.is_file:
            raise RefusedError(f"{path[:80] or 'it'} is a link or a special file")
        self._sizes[path] = entry.size_bytes
        if len(self._sizes) > MOST_FILES:
            raise RefusedError(f"it has more than {MOST_FILES} files")
        ending = path.rpartition(".")[2]
        if ending in COMPRESSED | STORED and is_plain(path):
            self._take(path, entry)
        elif self._first_page.reads(path, entry.size_bytes):
            self._first_page.see(path, entry.read())

    def _take(self, path: str, entry: Entry) -> None:
        self._bytes += entry.size_bytes
        if entry.size_bytes > MOST_FILE_BYTES or self._bytes > MOST_BYTES:
            raise RefusedError(
                f"{path[:80]} is larger than {MOST_FILE_BYTES // 1024**2} MiB, or all files together"
                f" than {MOST_BYTES // 1024**2} MiB"
            )
        content = entry.read()
        self._digests[path] = hashlib.sha256(content).hexdigest()
        self._write(f"{self._path}/{path}", content)
        if self._first_page.reads(path, entry.size_bytes):
            self._first_page.see(path, content)

    def first_page(self) -> tuple[str, ...]:
        """What of it the first page needs, as addresses relative to the set's; to be asked once all is added."""
        return tuple(f"{self._path}/{address}" for address in self._first_page.addresses(self._digests))

    def publish(self) -> tuple[str, str]:
        """The name of the set, which nginx serves from now on, and the folder's listing. Raises StorageError, and
        RefusedError for a folder of which nothing was taken."""
        if not self._digests:
            raise RefusedError("it has no file that a page loads")
        content = json.dumps({"path": self._path, "files": self._digests}, sort_keys=True).encode()
        name = _name(content)
        self._write(SET_FILE, content)
        self._writer.publish(name)
        return name, wire.listing_of(self._sizes)

    def _write(self, path: str, content: bytes) -> None:
        self._writer.write(f"{PLAIN}/{path}", content)
        if path.rpartition(".")[2] not in COMPRESSED or len(content) < _SMALLEST:
            return
        for encoding, compress in _ENCODINGS.items():
            smaller = compress(content)
            if len(smaller) < _WORTH_IT * len(content):
                self._writer.write(f"{encoding}/{path}", smaller)


def is_whole(name: str, content: bytes, encoding: str) -> bool:
    """Is this what SET_FILE of this set holds, as it was sent with this content-encoding?"""
    try:
        plain = gzip.decompress(content) if encoding == "gzip" else content
    except (OSError, EOFError, zlib.error):
        return False
    return _name(plain) == name


def _name(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]
