"""Docker's images in memory, with registries and builds that go as a test says."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hubagent.errors import ContainerError, EngineAbsentError, ImageError, StorageError
from hubagent.images.ports import LocalImage, Progress, Watcher
from hubagent.images.recipe import Material, Recipe, repository
from hubagent.pool.ports import ImageFacts
from tests.fakes.containers_pool import FakeContainers


@dataclass
class Image:
    """One image; tests look at it."""

    id: str
    created_s: float
    labels: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)


class FakeImageEngine:
    """`images.ports.ImageEngine` in memory, for the same engine as `containers`.

    `registry` has the digest of each name; a pulled image is named repository@digest. `breaks` has the message
    that the build of a base ends with. `on_line` is called while something is built or pulled. `journal` holds
    the dear and the changing calls.
    """

    def __init__(self, containers: FakeContainers, *, now: Callable[[], float]) -> None:
        self.images: dict[str, Image] = {}
        self.registry: dict[str, str] = {}
        self.breaks: dict[str, str] = {}
        self.journal: list[tuple[str, str]] = []
        self.arguments: list[Mapping[str, str]] = []
        self.on_line: Callable[[], None] = lambda: None
        self.sweeps = 0
        self._containers = containers
        self._now = now
        self._numbers = itertools.count(1)
        self._is_up = True
        containers.images.clear()

    # For tests

    def add(self, *names: str, labels: Mapping[str, str] | None = None) -> str:
        """An image that is there; its id."""
        image = Image(f"sha256:{next(self._numbers):064x}", self._now(), dict(labels or {}))
        self.images[image.id] = image
        for name in names:
            self._name(image, name)
        self._tell()
        return image.id

    def stop_engine(self) -> None:
        self._is_up = False

    def start_engine(self) -> None:
        self._is_up = True

    def calls(self, call: str) -> list[str]:
        return [what for name, what in self.journal if name == call]

    # ImageEngine

    def image_id(self, name: str) -> str | None:
        self._check()
        found = self._find(name)
        return found.id if found else None

    def build(
        self, recipe: Recipe, *, labels: Mapping[str, str], arguments: Mapping[str, str], watcher: Watcher
    ) -> str:
        self._check()
        self.journal.append(("build", recipe.tag))
        self.arguments.append(arguments)
        for step in (1, 2, 3):
            self.on_line()
            watcher(Progress(f"Step {step}/3 : RUN something", step, 3))
            if step == 2 and recipe.base in self.breaks:
                watcher(Progress(self.breaks[recipe.base], step, 3))
                raise ImageError(f"{recipe.tag}: step 2 of 3 failed: {self.breaks[recipe.base]}")
        return self.add(recipe.tag, labels=labels)

    def published(self, name: str) -> str:
        self._check()
        if name not in self.registry:
            raise ImageError(f"no registry has {name}: not found")
        return self.registry[name]

    def pull(self, name: str, digest: str, *, watcher: Watcher) -> str:
        self._check()
        self.journal.append(("pull", name))
        for layer in (1, 2):
            self.on_line()
            watcher(Progress(f"layer {layer}: Pull complete", layer, 2))
        return self.add(f"{repository(name)}@{digest}")

    def tag(self, image: str, name: str) -> None:
        self._check()
        self.journal.append(("tag", name))
        found = self._find(image)
        if found is None:
            raise ContainerError(f"cannot tag an image {name}: no such image")
        self._name(found, name)
        self._tell()

    def tags(self, image: str) -> tuple[str, ...]:
        found = self._find(image)
        return tuple(sorted(name for name in found.names if "@" not in name)) if found else ()

    def list(self, *, label: str) -> tuple[LocalImage, ...]:
        self._check()
        return tuple(
            LocalImage(one.id, self.tags(one.id), one.created_s, dict(one.labels))
            for one in self.images.values()
            if label in one.labels
        )

    def in_use(self) -> frozenset[str]:
        self._check()
        return frozenset(one.image_id for one in self._containers.containers.values())

    def remove(self, image: str) -> None:
        self._check()
        self.journal.append(("remove", image))
        found = self._find(image)
        if found is None:
            return
        if found.id in self.in_use():
            raise ContainerError(f"cannot remove {image}: a container uses it")
        del self.images[found.id]
        self._tell()

    def sweep(self, *, label: str) -> None:
        self._check()
        self.sweeps += 1

    # Inside

    def _find(self, name: str) -> Image | None:
        full = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        return self.images.get(name) or next(
            (one for one in self.images.values() if {name, full} & one.names), None
        )

    def _name(self, image: Image, name: str) -> None:
        full = name if ":" in name.rpartition("/")[2] else f"{name}:latest"
        for other in self.images.values():
            other.names.discard(full)
        image.names.add(full)

    def _tell(self) -> None:
        self._containers.images = {
            name.removesuffix(":latest"): ImageFacts(one.id, "jovyan", ("jupyterhub-singleuser",))
            for one in self.images.values()
            for name in (one.id, *one.names)
        }

    def _check(self) -> None:
        if not self._is_up:
            raise EngineAbsentError("no connection to Docker")


class FakeInputs:
    """`images.ports.Inputs` with values, or a fault, that tests set."""

    def __init__(self, material: Material, arguments: Mapping[str, str] | None = None) -> None:
        self.given = material
        self.settings = dict(arguments or {})
        self.fault: StorageError | None = None

    def material(self) -> Material:
        if self.fault is not None:
            raise self.fault
        return self.given

    def arguments(self) -> Mapping[str, str]:
        return self.settings
