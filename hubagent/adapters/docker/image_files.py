"""`images.static_ports.ImageFiles` over Docker's archives (GET /containers/ID/archive), read as they come."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Iterable, Iterator
from typing import Any, Final

import docker.errors

from hubagent.adapters.docker.client import DOCKER_SOCKET, DockerClient
from hubagent.errors import ContainerError
from hubagent.images.static_ports import Entry, Visitor

_TIMEOUT_S: Final = 60  # of silence
_CHUNK_BYTES: Final = 256 * 1024
_END_BYTES: Final = 2 * tarfile.BLOCKSIZE  # two empty blocks end an archive


class DockerImageFiles:
    """A folder is never held in memory: each entry is shown while Docker still sends those behind it."""

    def __init__(self, base_url: str = DOCKER_SOCKET) -> None:
        self._client = DockerClient(base_url, timeout_s=_TIMEOUT_S)

    def visit(self, container: str, folder: str, visitor: Visitor) -> bool:
        what = f"cannot read {folder} of {container}"

        def read(client: Any) -> bool:
            # The SDK's own `get_archive` takes the deadline away, and leaves the connection open when it is broken off.
            url = client._url("/containers/{0}/archive", container)
            with client._get(url, params={"path": folder}, stream=True) as answer:
                try:
                    client._raise_for_status(answer)
                except docker.errors.NotFound:
                    return False
                for entry in entries(answer.iter_content(_CHUNK_BYTES), what):
                    visitor(entry)
            return True

        return self._client.call(what, read)

    def close(self) -> None:
        self._client.close()


def entries(chunks: Iterable[bytes], what: str) -> Iterator[Entry]:
    """Of a tar archive of one folder, whose entries all begin with the folder's own name. Raises ContainerError."""
    stream = _Stream(chunks)
    try:
        with tarfile.open(fileobj=stream, mode="r|") as archive:
            for member in archive:
                yield _entry(archive, member, what)
                vars(archive)["members"].clear()  # it remembers all that it has seen
    except tarfile.TarError as error:
        raise ContainerError(f"{what}: {error}") from error
    if not stream.ends_well():  # a tarfile that ends between two files is fine for tarfile
        raise ContainerError(f"{what}: the archive is not whole")


def _entry(archive: tarfile.TarFile, member: tarfile.TarInfo, what: str) -> Entry:
    def read() -> bytes:
        file = archive.extractfile(member)
        content = file.read() if file is not None else b""
        if len(content) != member.size:
            raise ContainerError(f"{what}: the archive ends within a file")
        return content

    return Entry(
        path=member.name.partition("/")[2],
        is_file=member.type in (tarfile.REGTYPE, tarfile.AREGTYPE),
        is_folder=member.isdir(),
        size_bytes=member.size,
        read=read,
    )


class _Stream(io.RawIOBase):
    """Chunks as the file that tarfile reads."""

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._rest = memoryview(b"")
        self._last = b""

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
            self._last = (self._last + chunk[-_END_BYTES:])[-_END_BYTES:]
        count = min(len(buffer), len(self._rest))
        buffer[:count] = self._rest[:count]
        self._rest = self._rest[count:]
        return count

    def ends_well(self) -> bool:
        """Reads what is left, and says whether it ended as an archive does."""
        for chunk in self._chunks:
            self._last = (self._last + chunk[-_END_BYTES:])[-_END_BYTES:]
        return self._last == bytes(_END_BYTES)
