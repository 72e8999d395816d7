"""A real Docker for contract tests, with a small image made of this machine's own programs.

It is the one at DOCKER_HOST when that is set (e.g. unix:///proc/PID/root/run/docker.sock of a machine), else that of
a machine booted here. What the tests make there, they take away again.
"""

from __future__ import annotations

import io
import os
import re
import subprocess
import tarfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import docker

from tests.machine.rig import Machine

PASSWD = b"root:x:0:0::/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/sh\n"
SLEEP = ("/bin/sleep", "600")


@dataclass(frozen=True)
class Engine:
    """Docker, its SDK, and an image of user jovyan that has `sleep`."""

    url: str
    image: str

    @contextmanager
    def sdk(self) -> Iterator[Any]:
        """Closed after use, so that no pooled connection looks like a leak."""
        client: Any = docker.APIClient(base_url=self.url, version="auto")
        try:
            yield client
        finally:
            client.close()


@contextmanager
def real_docker() -> Iterator[Engine]:
    url = os.environ.get("DOCKER_HOST")
    if url:
        with _with_image(url) as engine:
            yield engine
        return
    with (
        Machine.boot("bookworm") as machine,
        _with_image(f"unix:///proc/{machine.leader}/root/run/docker.sock") as engine,
    ):
        yield engine


@contextmanager
def _with_image(url: str) -> Iterator[Engine]:
    engine = Engine(url, f"hubagent-test/{uuid.uuid4().hex[:8]}")
    with engine.sdk() as sdk:
        sdk.import_image_from_data(
            _image(),
            repository=engine.image,
            tag="latest",
            changes=["USER jovyan", f'CMD ["{SLEEP[0]}", "{SLEEP[1]}"]'],
        )
    yield engine
    with engine.sdk() as sdk:
        sdk.remove_image(engine.image, force=True)


def _image() -> bytes:
    """/bin/sleep of this machine with the libraries it needs, users, and a home with something in it."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as archive:
        for path in (SLEEP[0], *libraries()):
            archive.add(path)
        for path, text in (("etc/passwd", PASSWD), ("home/jovyan/work/welcome.txt", b"hello\n")):
            member = tarfile.TarInfo(path)
            member.size, member.uid, member.gid = len(text), 1000, 100
            archive.addfile(member, io.BytesIO(text))
    return content.getvalue()


def libraries() -> list[str]:
    """Paths of what /bin/sleep is linked with."""
    said = subprocess.run(["ldd", SLEEP[0]], capture_output=True, text=True, check=True).stdout
    return re.findall(r"(/\S+)", said)
