"""Docker's images by its SDK: builds, pulls and removals against a real engine and a real registry.

As in real_docker.py the engine is the one at DOCKER_HOST when that is set, else that of a machine booted here.
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
import pytest

from hubagent.adapters.docker.image_builder import DockerImages
from hubagent.errors import ContainerError, EngineAbsentError, ImageError
from hubagent.images.ports import Progress
from hubagent.images.recipe import Recipe
from hubagent.layout import LABEL_BUILD, LABEL_IMAGE
from tests.machine.rig import Machine
from tests.waiting import wait_until

# As in test_docker.py.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

REGISTRY = "localhost:5000"

_REGISTRY = """\
version: 0.1
storage: {filesystem: {rootdirectory: /var/lib/docker-registry}}
http: {addr: 127.0.0.1:5000}
"""

_PROGRAMS = ("/bin/sleep", "/bin/sh", "/bin/cat")


@dataclass(frozen=True)
class Engine:
    base: str
    images: DockerImages
    sdk: Any

    def recipe(self, *lines: str, base: str | None = None, **files: str) -> Recipe:
        """A build of `lines` on the base, under a name of its own."""
        name = f"hubagent-test/{uuid.uuid4().hex[:8]}"
        dockerfile = ("ARG BASE_IMAGE", "FROM ${BASE_IMAGE}", f"LABEL {LABEL_BUILD}=1", *lines)
        content = {"Dockerfile": "".join(f"{line}\n" for line in dockerfile), **files}
        return Recipe(name, base or self.base, uuid.uuid4().hex * 2, _tar(content))

    def build(self, recipe: Recipe, seen: list[Progress] | None = None, **arguments: str) -> str:
        lines = seen if seen is not None else []
        return self.images.build(
            recipe, labels={LABEL_IMAGE: recipe.image}, arguments=arguments, watcher=lines.append
        )


def _tar(files: dict[str, str]) -> bytes:
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w") as archive:
        for name, text in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(text.encode())
            archive.addfile(info, io.BytesIO(text.encode()))
    return content.getvalue()


@pytest.fixture(scope="module")
def place() -> Iterator[tuple[str, str]]:
    """Address of an engine with a registry beside it, and the name of an image there."""
    url = os.environ.get("DOCKER_HOST")
    if url:
        yield from _with_base(url)
        return
    with Machine.boot("bookworm") as machine:
        machine.apt_install("docker-registry")
        machine.write("/etc/docker/registry/config.yml", _REGISTRY)
        machine.run(["systemctl", "restart", "docker-registry"])
        yield from _with_base(f"unix:///proc/{machine.leader}/root/run/docker.sock")


def _with_base(url: str) -> Iterator[tuple[str, str]]:
    base = f"hubagent-test/base-{uuid.uuid4().hex[:8]}"
    with _sdk(url) as sdk:
        sdk.import_image_from_data(_root(), repository=base, tag="latest")
    yield url, base
    with _sdk(url) as sdk:
        for image in sdk.images():
            for name in image["RepoTags"] or ():
                if name.startswith(("hubagent-test/", f"{REGISTRY}/hubagent-test/")):
                    sdk.remove_image(name, force=True)


@contextmanager
def _sdk(url: str) -> Iterator[Any]:
    client: Any = docker.APIClient(base_url=url, version="auto")
    yield client
    client.close()


@pytest.fixture
def engine(place: tuple[str, str]) -> Iterator[Engine]:
    """Closed after use, so that no pooled connection looks like a leak."""
    url, base = place
    images = DockerImages(url)
    with _sdk(url) as sdk:
        yield Engine(base, images, sdk)
    images.close()


def _root() -> bytes:
    """A few programs of this machine with the libraries they need."""
    paths = {
        path
        for program in _PROGRAMS
        for path in re.findall(
            r"(/\S+)", subprocess.run(["ldd", program], capture_output=True, text=True).stdout
        )
    }
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w", dereference=True) as archive:
        for path in (*_PROGRAMS, *sorted(paths)):
            archive.add(path)
    return content.getvalue()


def test_a_build_is_told_step_by_step_and_tagged(engine: Engine) -> None:
    recipe = engine.recipe(
        "COPY note /", 'RUN ["/bin/sh", "-c", "echo hello; cat /note"]', note="from a file\n"
    )
    seen: list[Progress] = []
    built = engine.build(recipe, seen)
    assert engine.images.image_id(recipe.tag) == built
    assert {"hello", "from a file"} <= {one.line for one in seen}
    assert [one.words for one in seen][-1].startswith("step ")
    assert max(one.step for one in seen) == seen[-1].of
    (found,) = [one for one in engine.images.list(label=LABEL_IMAGE) if one.id == built]
    assert found.tags == (recipe.tag,)
    assert found.labels[LABEL_IMAGE] == recipe.image
    assert found.labels[LABEL_BUILD] == "1"
    assert engine.build(recipe) == built  # from Docker's cache


def test_arguments_reach_the_build_and_nothing_else(engine: Engine) -> None:
    recipe = engine.recipe("ARG PIP_INDEX_URL", 'RUN ["/bin/sh", "-c", "echo index=$PIP_INDEX_URL"]')
    seen: list[Progress] = []
    built = engine.build(
        recipe, seen, PIP_INDEX_URL="https://mirror.example/$(id)'\"", http_proxy="http://x:1"
    )
    assert "index=https://mirror.example/$(id)'\"" in [one.line for one in seen]
    sdk = engine.sdk
    assert not any("mirror.example" in one for one in sdk.inspect_image(built)["Config"]["Env"])


def test_a_build_that_fails_says_where(engine: Engine) -> None:
    recipe = engine.recipe(
        'RUN ["/bin/sh", "-c", "echo fine"]',
        r"""RUN ["/bin/sh", "-c", "printf '\\033[91mE: no such package\\033[0m\\n' >&2; exit 7"]""",
    )
    seen: list[Progress] = []
    with pytest.raises(ImageError, match=r"step 5 of 6 \(RUN .*failed: E: no such package$"):
        engine.build(recipe, seen)
    assert "E: no such package" in [one.line for one in seen]
    assert engine.images.image_id(recipe.tag) is None
    engine.images.sweep(label=LABEL_BUILD)


def test_a_base_that_is_nowhere_is_an_error(engine: Engine) -> None:
    recipe = engine.recipe(base=f"{REGISTRY}/hubagent-test/nosuch:1")
    with pytest.raises(ImageError, match=r"step 2 of 4 \(FROM .*nosuch:1\) failed"):
        engine.build(recipe)


def test_an_abandoned_build_ends_on_the_other_side_too(engine: Engine) -> None:
    class EnoughError(Exception):
        pass

    def stop(progress: Progress) -> None:
        if progress.line == "sleeping":
            raise EnoughError

    recipe = engine.recipe('RUN ["/bin/sh", "-c", "echo sleeping; exec sleep 600"]')
    with pytest.raises(EnoughError):
        engine.images.build(recipe, labels={}, arguments={}, watcher=stop)
    sdk = engine.sdk
    wait_until(lambda: not [c for c in sdk.containers() if "sleep 600" in c["Command"]], timeout_s=30.0)
    assert engine.images.image_id(recipe.tag) is None


def test_names_move_and_old_images_go(engine: Engine) -> None:
    first, second = (
        engine.build(engine.recipe(f'RUN ["/bin/sh", "-c", "echo {n}"]', f"ENV N={n}")) for n in "12"
    )
    name = f"hubagent-test/{uuid.uuid4().hex[:8]}"
    engine.images.tag(first, name)
    assert engine.images.image_id(name) == engine.images.image_id(f"{name}:latest") == first
    engine.images.tag(second, f"{name}:latest")
    assert engine.images.image_id(name) == second
    assert f"{name}:latest" in engine.images.tags(second)
    engine.images.remove(second)  # with both its names
    assert engine.images.image_id(name) is None
    assert engine.images.tags(second) == ()
    engine.images.remove(second)
    assert engine.images.image_id(first) == first


def test_an_image_in_use_stays(engine: Engine) -> None:
    built = engine.build(engine.recipe("ENV A=B"))
    sdk = engine.sdk
    container = sdk.create_container(built, ["/bin/sleep", "600"])["Id"]
    assert built in engine.images.in_use()
    with pytest.raises(ContainerError):
        engine.images.remove(built)
    sdk.remove_container(container)
    assert built not in engine.images.in_use()
    assert engine.images.image_id(built) == built


def test_what_failed_builds_left_is_swept_and_nothing_else(engine: Engine) -> None:
    kept = engine.build(engine.recipe("ENV KEPT=1"))
    with pytest.raises(ImageError):
        engine.build(engine.recipe("ENV LEFT=1", 'RUN ["/bin/sh", "-c", "exit 1"]'))
    sdk = engine.sdk

    def unnamed() -> list[str]:
        filters = {"dangling": True, "label": LABEL_BUILD}
        return [one["Id"] for one in sdk.images(filters=filters)]

    assert unnamed()
    engine.images.sweep(label=LABEL_BUILD)
    assert unnamed() == []
    assert engine.images.image_id(kept) == kept


def test_a_pull_moves_no_name(engine: Engine) -> None:
    """The registry's tag moves on; the name here stays where it is until it is moved."""
    name = f"{REGISTRY}/hubagent-test/{uuid.uuid4().hex[:8]}"
    sdk = engine.sdk
    digests, ids = [], []
    for n in "12":
        ids.append(engine.build(engine.recipe(f"ENV PULLED={n}", f'RUN ["/bin/sh", "-c", "echo {n} > /n"]')))
        sdk.tag(ids[-1], name, "stable")
        sdk.push(name, tag="stable")
        digests.append(engine.images.published(f"{name}:stable"))
        sdk.remove_image(f"{name}:stable")
    for image in ids:
        engine.images.remove(image)
    assert digests[0] != digests[1]

    seen: list[Progress] = []
    first = engine.images.pull(f"{name}:stable", digests[0], watcher=seen.append)
    assert first == ids[0]
    assert engine.images.image_id(f"{name}:stable") is None
    assert (seen[-1].step, seen[-1].of) == (seen[-1].of, seen[-1].of)
    engine.images.tag(first, f"{name}:stable")
    second = engine.images.pull(f"{name}:stable", digests[1], watcher=seen.append)
    assert second == ids[1]
    assert engine.images.image_id(f"{name}:stable") == first
    engine.images.tag(second, f"{name}:stable")
    assert engine.images.tags(first) == ()
    engine.images.remove(first)  # it has a digest only
    assert engine.images.image_id(first) is None


def test_what_no_registry_has_is_an_error(engine: Engine) -> None:
    with pytest.raises(ImageError, match="no registry has"):
        engine.images.published(f"{REGISTRY}/hubagent-test/absent:1")


def test_without_an_engine() -> None:
    images = DockerImages("unix:///nowhere/docker.sock")
    with pytest.raises(EngineAbsentError):
        images.image_id("x")
