"""What the images need of the world beside files: Docker's images, and what recipes are made with."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from hubagent.images.recipe import Material, Recipe
from hubagent.pool.ports import Containers, Guests
from hubagent.ports import Clock, FileStore


@dataclass(frozen=True, slots=True)
class Progress:
    """One line of Docker's, while it builds or pulls."""

    line: str
    step: int = 0  # of a build; layers that are here, of a pull
    of: int = 0  # 0 while it is not known

    @property
    def words(self) -> str:
        """`step 3 of 18`, or nothing."""
        return f"step {self.step} of {self.of}" if self.of else ""


@dataclass(frozen=True, slots=True)
class LocalImage:
    id: str
    tags: tuple[str, ...]
    created_s: float  # unix time
    labels: Mapping[str, str]


Watcher = Callable[[Progress], None]
"""Told of each line; what it raises ends the work, and is raised to whoever asked for the work."""


class ImageEngine(Protocol):
    """Docker's images. Failures are errors.ContainerError where Docker does not answer or refuses, and
    errors.ImageError where a build or a pull went wrong."""

    def image_id(self, name: str) -> str | None:
        """None when it is not on this machine."""
        ...

    def build(
        self, recipe: Recipe, *, labels: Mapping[str, str], arguments: Mapping[str, str], watcher: Watcher
    ) -> str:
        """Build and tag it as `recipe.tag`, at low priority; the image's id. May take an hour."""
        ...

    def published(self, name: str) -> str:
        """The digest that the registry has for this name now."""
        ...

    def pull(self, name: str, digest: str, *, watcher: Watcher) -> str:
        """Fetch this version, without moving the name to it; the image's id."""
        ...

    def tag(self, image: str, name: str) -> None:
        """From now on `name` is this image."""
        ...

    def tags(self, image: str) -> tuple[str, ...]:
        """The names of this id; none as well when it is not on this machine."""
        ...

    def list(self, *, label: str) -> tuple[LocalImage, ...]:
        """All images that carry this label, without the layers between."""
        ...

    def in_use(self) -> frozenset[str]:
        """Ids of the images that containers were made from, running or not."""
        ...

    def remove(self, image: str) -> None:
        """Take away the name, or the id with all its names; the image goes when that was the last. An absent
        one is fine, one that a container was made from is errors.ContainerError."""
        ...

    def sweep(self, *, label: str) -> None:
        """Remove the unnamed images with this label that nothing uses: what failed builds left."""
        ...


class Inputs(Protocol):
    """What this machine gives to every build."""

    def material(self) -> Material:
        """Raises errors.StorageError when hubagent's own files are not there."""
        ...

    def arguments(self) -> Mapping[str, str]:
        """How this machine reaches the registries: proxies and mirrors, by the names of the Dockerfile."""
        ...


@dataclass(frozen=True, slots=True)
class ImagePorts:
    """All that images are made, proven and tried with, of one machine."""

    engine: ImageEngine
    inputs: Inputs
    containers: Containers
    guests: Guests
    files: FileStore
    clock: Clock
