"""Docker's archives of a container that was never started, and the whole way from an image to sets on disk."""

from __future__ import annotations

import io
import tarfile
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.adapters.docker.containers import DockerContainers
from hubagent.adapters.docker.image_files import DockerImageFiles
from hubagent.adapters.files.static_sets import LocalSets
from hubagent.adapters.machine.clock import SystemClock
from hubagent.errors import ContainerError, EngineAbsentError
from hubagent.images.static_ports import Entry
from hubagent.images.static_search import Search, prefixes
from tests.contract.real_docker import Engine

# As in test_docker.py.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

SCRIPT = b"console.log('a bundle');\n" * 40_000  # more than Docker sends at once
FILES = {
    "opt/x/share/jupyter/lab/static/main.1.js": SCRIPT,
    "opt/x/share/jupyter/lab/static/deep/2.css": b"p {}" * 100,
    "opt/x/share/jupyter/labextensions/@org/one/static/remoteEntry.1.js": b"one",
    "opt/x/share/jupyter/labextensions/two/static/remoteEntry.2.js": b"two",
}
LINKS = {
    "opt/x/share/jupyter/labextensions/two/static/passwd.js": "/etc/passwd",
    "opt/linked": "/opt/x/share/jupyter/lab/static",
}


@pytest.fixture
def image(engine: Engine) -> Iterator[str]:
    """With FILES and LINKS alone."""
    name = f"hubagent-test/{uuid.uuid4().hex[:8]}"
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for path, text in FILES.items():
            member = tarfile.TarInfo(path)
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text))
        for path, target in LINKS.items():
            member = tarfile.TarInfo(path)
            member.type, member.linkname = tarfile.SYMTYPE, target
            archive.addfile(member)
    with engine.sdk() as sdk:
        sdk.import_image_from_data(content.getvalue(), repository=name, tag="latest", changes=['CMD ["x"]'])
    yield name
    with engine.sdk() as sdk:
        sdk.remove_image(name, force=True)


@pytest.fixture
def container(engine: Engine, image: str) -> Iterator[str]:
    with engine.sdk() as sdk:
        made = sdk.create_container(image, command=["/bin/false"])["Id"]
    yield made
    with engine.sdk() as sdk:
        sdk.remove_container(made, force=True)


@pytest.fixture
def files(engine: Engine) -> Iterator[DockerImageFiles]:
    found = DockerImageFiles(engine.url)
    yield found
    found.close()


def test_a_folder_is_shown_as_it_is(files: DockerImageFiles, container: str) -> None:
    seen: dict[str, bytes | None] = {}

    def visit(entry: Entry) -> None:
        assert not (entry.is_file and entry.is_folder)
        seen[entry.path] = entry.read() if entry.is_file else None

    assert files.visit(container, "/opt/x/share/jupyter/lab/static", visit)
    assert seen == {"": None, "main.1.js": SCRIPT, "deep": None, "deep/2.css": b"p {}" * 100}


def test_no_link_is_followed(files: DockerImageFiles, container: str) -> None:
    seen: list[Entry] = []
    assert files.visit(container, "/opt/linked", seen.append)
    assert [(one.is_file, one.is_folder) for one in seen] == [(False, False)]
    seen.clear()
    assert files.visit(container, "/opt/x/share/jupyter/labextensions/two/static", seen.append)
    assert {one.path: one.is_file for one in seen} == {
        "": False,
        "passwd.js": False,
        "remoteEntry.2.js": True,
    }


def test_what_is_not_there(files: DockerImageFiles, container: str) -> None:
    assert not files.visit(container, "/opt/y", lambda _entry: None)
    assert not files.visit("no-such-container", "/opt/x", lambda _entry: None)


def test_a_visit_that_is_broken_off_leaves_a_connection_that_works(
    files: DockerImageFiles, container: str
) -> None:
    class EnoughError(ContainerError):
        pass

    def first(entry: Entry) -> None:
        raise EnoughError(entry.path)

    for _ in range(3):
        with pytest.raises(EnoughError):
            files.visit(container, "/opt/x/share/jupyter/lab/static", first)
    assert files.visit(container, "/opt/x/share/jupyter/lab/static", lambda _entry: None)


def test_an_engine_that_is_away(tmp_path: Path) -> None:
    files = DockerImageFiles(f"unix://{tmp_path}/none.sock")
    with pytest.raises(EngineAbsentError):
        files.visit("x", "/opt", lambda _entry: None)
    files.close()


def test_from_an_image_to_sets(
    engine: Engine, files: DockerImageFiles, container: str, tmp_path: Path
) -> None:
    sets = LocalSets(tmp_path / "static")
    sets.sweep()
    found = Search(files, sets, container, SystemClock()).all(prefixes("/opt/x/bin/python3"), None)
    assert [(one.folder, one.path) for one in found.taken] == [
        ("/opt/x/share/jupyter/lab/static", "static/lab"),
        ("/opt/x/share/jupyter/labextensions/@org/one/static", "lab/extensions/@org/one/static"),
    ]
    assert len(found.refused) == 1
    assert "passwd.js is a link" in found.refused[0]
    lab = found.taken[0]
    assert (tmp_path / "static" / lab.set / "plain/static/lab/main.1.js").read_bytes() == SCRIPT
    assert lab.listing == wire.listing_of({"main.1.js": len(SCRIPT), "deep/2.css": 400})
    assert sets.names() == {one.set for one in found.taken}
    containers = DockerContainers(engine.url)
    facts = containers.inspect(container)
    containers.close()
    assert facts is not None
    assert not facts.running
