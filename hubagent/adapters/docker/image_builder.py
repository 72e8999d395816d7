"""Docker's images: build, pull, tag, remove. By the Engine API's classic builder and its streams of JSON.

A build or a pull has no deadline of its own, only one for silence. Docker ends it when this side closes the
connection, as it does when the process ends.
"""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

import docker.errors
import urllib3.exceptions

from hubagent.adapters.docker.client import DOCKER_SOCKET, DockerClient
from hubagent.errors import ContainerError, ImageError
from hubagent.images.ports import LocalImage, Progress, Watcher
from hubagent.images.recipe import Recipe, repository

_TIMEOUT_S: Final = 30
_SILENCE_S: Final = 3600  # compiling Julia packages can take so long without a word
_CPU_SHARES: Final = 128  # of 1024 that users' containers have
_STEP: Final = re.compile(r"Step ([0-9]+)/([0-9]+) : ")
_NOISE: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")
_DOCKERS_OWN: Final = (" ---> ", "Removing intermediate container ")
_LAYER_IS_HERE: Final = ("Pull complete", "Already exists")
_BROKEN: Final = (urllib3.exceptions.HTTPError, ValueError)  # of a stream, which the SDK lets through


class DockerImages:
    """`images.ports.ImageEngine` over Docker's socket."""

    def __init__(self, base_url: str = DOCKER_SOCKET) -> None:
        self._quick = DockerClient(base_url, timeout_s=_TIMEOUT_S)
        self._slow = DockerClient(base_url, timeout_s=_SILENCE_S)

    def image_id(self, name: str) -> str | None:
        def inspect(client: Any) -> str | None:
            try:
                return str(client.inspect_image(name)["Id"])
            except docker.errors.NotFound:
                return None

        return self._quick.call(f"cannot look up the image {name}", inspect)

    def build(
        self, recipe: Recipe, *, labels: Mapping[str, str], arguments: Mapping[str, str], watcher: Watcher
    ) -> str:
        def run(client: Any) -> None:
            stream = client.build(
                fileobj=io.BytesIO(recipe.context),
                custom_context=True,
                tag=recipe.tag,
                rm=True,
                forcerm=True,
                decode=True,
                buildargs={**arguments, "BASE_IMAGE": recipe.base},
                labels=dict(labels),
                container_limits={"cpushares": _CPU_SHARES},
            )
            _follow_build(stream, recipe, watcher)

        self._slow.call(f"cannot build {recipe.tag}", run)
        built = self.image_id(recipe.tag)
        if built is None:
            raise ImageError(f"{recipe.tag} was built but has disappeared; find out what removes images")
        return built

    def published(self, name: str) -> str:
        def ask(client: Any) -> str:
            try:
                return str(client.inspect_distribution(name)["Descriptor"]["digest"])
            except docker.errors.APIError as error:
                raise ImageError(f"no registry has {name}: {error.explanation or error}") from error

        return self._quick.call(f"cannot ask a registry for {name}", ask)

    def pull(self, name: str, digest: str, *, watcher: Watcher) -> str:
        source = repository(name.partition("@")[0])

        def run(client: Any) -> None:
            _follow_pull(client.pull(source, tag=digest, stream=True, decode=True), name, watcher)

        self._slow.call(f"cannot pull {name}", run)
        pulled = self.image_id(f"{source}@{digest}")
        if pulled is None:
            raise ImageError(f"{name} was pulled but has disappeared; find out what removes images")
        return pulled

    def tag(self, image: str, name: str) -> None:
        target = repository(name)
        tag = name.removeprefix(target).removeprefix(":") or "latest"
        self._quick.call(f"cannot tag an image {name}", lambda client: client.tag(image, target, tag))

    def tags(self, image: str) -> tuple[str, ...]:
        def inspect(client: Any) -> tuple[str, ...]:
            try:
                return tuple(client.inspect_image(image)["RepoTags"] or ())
            except docker.errors.NotFound:
                return ()

        return self._quick.call(f"cannot look up the names of {image}", inspect)

    def list(self, *, label: str) -> tuple[LocalImage, ...]:
        found = self._quick.call(
            "cannot list the images", lambda client: client.images(filters={"label": label})
        )
        return tuple(
            LocalImage(
                id=facts["Id"],
                tags=tuple(tag for tag in facts["RepoTags"] or () if tag != "<none>:<none>"),
                created_s=float(facts["Created"]),
                labels=dict(facts["Labels"] or {}),
            )
            for facts in found
        )

    def in_use(self) -> frozenset[str]:
        found = self._quick.call(
            "cannot list the images of the containers", lambda client: client.containers(all=True)
        )
        return frozenset(facts["ImageID"] for facts in found)

    def remove(self, image: str) -> None:
        def run(client: Any) -> None:
            with contextlib.suppress(docker.errors.NotFound):
                for name in _names(client, image) or [image]:
                    client.remove_image(name)

        self._slow.call(f"cannot remove the image {image}", run)

    def sweep(self, *, label: str) -> None:
        filters = {"dangling": True, "label": label}
        self._slow.call("cannot remove unnamed images", lambda client: client.prune_images(filters=filters))

    def close(self) -> None:
        self._quick.close()
        self._slow.close()


def _names(client: Any, image: str) -> list[str]:
    """Docker removes an id with several names only by force, which would take it from containers too."""
    if not image.startswith("sha256:"):
        return []
    facts = client.inspect_image(image)
    return [*(facts["RepoTags"] or ()), *(facts["RepoDigests"] or ())]


def _follow_build(stream: Any, recipe: Recipe, watcher: Watcher) -> None:
    step = of = 0
    command = last = ""
    with _closing(stream):
        for item in _items(stream, f"the build of {recipe.tag}"):
            if "error" in item:
                where = f"step {step} of {of} ({command})" if of else "the first step"
                reason = last or _clean(str(item["error"]))
                raise ImageError(f"{recipe.tag}: {where} failed: {reason}")
            for line in _clean(str(item.get("stream") or item.get("status") or "")).splitlines():
                if not line.strip():
                    continue
                if match := _STEP.match(line):
                    step, of, last = int(match[1]), int(match[2]), ""
                    command = line[match.end() :].replace("${BASE_IMAGE}", recipe.base)
                elif not line.startswith(_DOCKERS_OWN):
                    last = line.strip()
                watcher(Progress(line, step, of))


def _follow_pull(stream: Any, name: str, watcher: Watcher) -> None:
    layers: dict[str, str] = {}
    with _closing(stream):
        for item in _items(stream, f"the pull of {name}"):
            if "error" in item:
                raise ImageError(f"{name} cannot be pulled: {_clean(str(item['error']))}")
            status, layer = _clean(str(item.get("status", ""))), str(item.get("id", ""))
            if item.get("progressDetail") is not None and layer:
                layers[layer] = status
            here = sum(state in _LAYER_IS_HERE for state in layers.values())
            watcher(Progress(f"{layer}: {status}" if layer else status, here, len(layers)))


@contextlib.contextmanager
def _closing(stream: Any) -> Iterator[None]:
    """However it ends, Docker is told that nobody listens any more."""
    try:
        yield
    finally:
        stream.close()


def _items(stream: Any, what: str) -> Iterator[Mapping[str, Any]]:
    try:
        yield from stream
    except _BROKEN as error:
        raise ContainerError(f"{what} was interrupted: {error}") from error


def _clean(text: str) -> str:
    """Without colours and control characters, which builds print for terminals."""
    return _NOISE.sub("", text.replace("\r\n", "\n").replace("\r", "\n"))
