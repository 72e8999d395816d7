"""Users' homes as Docker volumes. A home that is new gets the image's files and belongs to the image's user.

Docker fills a new volume with what the image has in that place when a container with it is created, so a
container is created, never started, and removed again. Where the image has nothing there, the volume would
belong to root, and nothing could be saved in it. While that container exists, the home is not finished: an
agent that was killed meanwhile leaves it, and the next start finishes the home.
"""

from __future__ import annotations

import hashlib
import logging
from typing import Final

from hubagent.config.model import Server
from hubagent.errors import ContainerError, EngineAbsentError
from hubagent.layout import LABEL_USER
from hubagent.naming import volume_name
from hubagent.pool.locks import NamedLocks
from hubagent.pool.ports import Containers, ContainerSpec, ImageFacts
from hubagent.pool.refusal import SpawnError, missing_image

log = logging.getLogger(__name__)

LABEL_HOME: Final = "hubagent.home"
"""Of the container that a new home is made with; its value is the volume's name."""

_TURN_S: Final = 60.0


class Volumes:
    """Safe to use from any thread; one home is made by one at a time."""

    def __init__(self, containers: Containers) -> None:
        self._containers = containers
        self._locks = NamedLocks()
        self._finished: set[str] = set()  # saves a question to Docker at each later start
        self._owners: dict[str, tuple[int, int]] = {}  # by image id

    def home_of(self, server: Server, user: str) -> str:
        """Where the user's home lies on the host, made before if need be; empty for a volume that Docker
        mounts only while a container uses it. Raises SpawnError and ContainerError."""
        name = volume_name(server.volume, user)
        with self._locks.held(name, timeout_s=_TURN_S) as our_turn:
            if not our_turn:
                raise ContainerError(f"the volume {name} is being made by another start, which does not end")
            path = self._containers.volume_path(name)
            if path is None or not self._is_finished(name):
                self._make(name, server, user, is_new=path is None)
                path = self._containers.volume_path(name)
            if path is None:
                raise ContainerError(f"the volume {name} was made and is gone again; who removes it?")
            self._finished.add(name)
            return path

    def _is_finished(self, name: str) -> bool:
        return name in self._finished or self._containers.inspect(_maker(name)) is None

    def _make(self, name: str, server: Server, user: str, *, is_new: bool) -> None:
        image = self._containers.image(server.image)
        if image is None:
            raise missing_image(server.image)
        self._containers.remove(_maker(name))
        try:
            container = self._containers.create(_spec(name, server, user))
            self._give(container, server, image)
        except BaseException:
            self._undo(name, is_new=is_new)
            raise
        self._containers.remove(container)

    def _give(self, container: str, server: Server, image: ImageFacts) -> None:
        if image.starts_as_root:
            return
        owner = self._owners.get(image.id) or self._read_owner(container, server, image)
        self._owners[image.id] = owner
        try:
            self._containers.own_folder(container, str(server.home), owner)
        except EngineAbsentError:
            raise
        except ContainerError as error:
            log.error("%s", error)
            raise SpawnError(
                "image", f"Image {server.image} does not let {server.home} be the home of {image.user!r}."
            ) from error

    def _read_owner(self, container: str, server: Server, image: ImageFacts) -> tuple[int, int]:
        passwd = self._containers.read_file(container, "/etc/passwd") or b""
        owner = home_owner(image.user, passwd.decode(errors="replace"))
        if owner is None:
            raise SpawnError(
                "image",
                f"Image {server.image} runs as {image.user!r}, whom its /etc/passwd does not know.",
            )
        return owner

    def _undo(self, name: str, *, is_new: bool) -> None:
        """What cannot be undone now is redone by the next start."""
        try:
            self._containers.remove(_maker(name))
            if is_new:
                self._containers.remove_volume(name)
        except ContainerError as error:
            log.warning("%s", error)

    def give(self, container: str, server: Server, image: ImageFacts) -> None:
        """Let the home in a container that was made and not started be its image's user's. Raises SpawnError and
        ContainerError."""
        self._give(container, server, image)


def home_owner(user: str, passwd: str) -> tuple[int, int] | None:
    """Numeric owner and group of an image's user, or None when the image does not say.

    `passwd` is the content of the image's /etc/passwd; malformed lines are passed over.
    """
    name, _, group = user.partition(":")
    found: tuple[int, int] | None = (int(name), 0) if name.isascii() and name.isdigit() else None
    for line in passwd.splitlines():
        parts = line.split(":")
        if len(parts) >= 4 and name in {parts[0], parts[2]} and parts[2].isdigit() and parts[3].isdigit():
            found = int(parts[2]), int(parts[3])
            break
    if found is not None and group.isascii() and group.isdigit():
        found = found[0], int(group)
    return found


def _maker(volume: str) -> str:
    return f"hubagent-home-{hashlib.sha256(volume.encode()).hexdigest()[:16]}"


def _spec(name: str, server: Server, user: str) -> ContainerSpec:
    return ContainerSpec(
        name=_maker(name),
        image=server.image,
        command=("never-started",),
        environment={},
        labels={LABEL_HOME: name},
        network="none",
        memory_bytes=server.memory_bytes,
        cpus=server.cpus,
        processes=server.processes,
        volume=(name, str(server.home)),
        volume_labels={LABEL_USER: user},
    )
