"""The configuration in force, for whoever serves users by it, and which containers are somebody's server by it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping

from hubagent.config.model import Config
from hubagent.config.reading import loader
from hubagent.converge.generations import Generations
from hubagent.errors import ConfigError, StorageError
from hubagent.hub_documents import SERVERS_IN_FORCE, Server
from hubagent.layout import LABEL_DIGEST, LABEL_SERVER, LABEL_SLOT, LABEL_USER
from hubagent.ports import Container
from hubagent.render.generation import SERVERS_FILE, Desired
from hubagent.state.status import ServerStatus

log = logging.getLogger(__name__)


class Declared:
    """Reads the current generation's own copy of the file. Any thread may ask."""

    def __init__(self, generations: Generations) -> None:
        self._generations = generations
        self._lock = threading.Lock()
        self._read: tuple[Desired, Config | None] | None = None

    def config(self) -> Config | None:
        """None before the first generation, and while it cannot be read."""
        try:
            desired = self._generations.desired()
        except StorageError as error:
            log.warning("the configuration in force cannot be read: %s", error)
            return None
        if desired is None:
            return None
        with self._lock:
            if self._read is None or self._read[0] is not desired:
                self._read = desired, _parse(desired)
            return self._read[1]


def _parse(desired: Desired) -> Config | None:
    try:
        return loader.load(desired.source, path="the configuration in force", in_force=True)
    except ConfigError as error:  # an earlier version of hubagent accepted what this one does not
        log.warning("%s", error)
        return None


def declared_servers(in_force: Desired) -> Mapping[str, Server]:
    """The entries of `servers`, as the hub reads them, by name."""
    return SERVERS_IN_FORCE.loads(in_force.file(SERVERS_FILE).content).servers


def declared_images(in_force: Desired) -> dict[str, str]:
    """The image of each of them."""
    return {name: server.image for name, server in declared_servers(in_force).items()}


def running_servers(
    in_force: Desired | None, containers: tuple[Container, ...], users_of_slots: Mapping[str, str]
) -> tuple[ServerStatus, ...]:
    """The containers that are somebody's server: slots that wait, and what proves an image, are nobody's."""
    declared = declared_servers(in_force) if in_force else {}
    digests = {name: server.digest for name, server in declared.items()}
    users = {
        container.id: users_of_slots.get(container.id)
        if LABEL_SLOT in container.labels
        else container.labels.get(LABEL_USER)
        for container in containers
    }
    return tuple(
        ServerStatus(
            user=user,
            server=container.labels.get(LABEL_SERVER, ""),
            container=container.name,
            stale=digests.get(container.labels.get(LABEL_SERVER, "")) != container.labels.get(LABEL_DIGEST),
        )
        for container in containers
        if container.state == "running" and (user := users[container.id]) is not None
    )
