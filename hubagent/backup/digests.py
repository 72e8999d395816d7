"""Checksums of parts: over every entry with all that is said of it, and every byte of content, in order."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from hubagent.backup.entries import Entry, Readable
from hubagent.backup.manifest import Part


class Digest:
    """Of one part, while it is written or read."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._sha256 = hashlib.sha256()
        self._members = 0
        self._size = 0

    def entry(self, entry: Entry) -> None:
        self._sha256.update(json.dumps(dataclasses.astuple(entry), default=lambda kind: kind.value).encode())
        self._members += 1
        self._size += entry.size

    def content(self, chunk: bytes) -> None:
        self._sha256.update(chunk)

    def part(self) -> Part:
        return Part(self._part, self._members, self._size, self._sha256.hexdigest())


class Exactly:
    """`size` bytes of a file that may change meanwhile: cut when it has grown, filled up with zeros when it has
    shrunk. Told to `digest` as they are read."""

    def __init__(self, content: Readable, size: int, digest: Digest) -> None:
        self._content = content
        self._left = size
        self._digest = digest

    def read(self, size: int = -1, /) -> bytes:
        wanted = self._left if size < 0 else min(size, self._left)
        chunk = b""
        while len(chunk) < wanted and (more := self._content.read(wanted - len(chunk))):
            chunk += more
        chunk += bytes(wanted - len(chunk))
        self._left -= wanted
        self._digest.content(chunk)
        return chunk
