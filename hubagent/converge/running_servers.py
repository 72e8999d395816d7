"""Which of the containers are somebody's server: pure."""

from __future__ import annotations

from collections.abc import Mapping

from hubagent.hub_documents import SERVERS_IN_FORCE, Server
from hubagent.layout import LABEL_DIGEST, LABEL_SERVER, LABEL_SLOT, LABEL_USER
from hubagent.ports import Container
from hubagent.render.generation import SERVERS_FILE, Desired
from hubagent.state.status import ServerStatus


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
