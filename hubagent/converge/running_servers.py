"""Which of the containers are somebody's server: pure."""

from __future__ import annotations

import json
from collections.abc import Mapping

from hubagent.layout import LABEL_DIGEST, LABEL_SERVER, LABEL_SLOT, LABEL_USER
from hubagent.observability.status import ServerStatus
from hubagent.ports import Container
from hubagent.state.desired import SERVERS_FILE, Desired


def declared_servers(in_force: Desired) -> dict[str, dict[str, object]]:
    """The entries of `servers`, as the hub reads them, by name."""
    servers = json.loads(in_force.file(SERVERS_FILE).content)["servers"]
    assert isinstance(servers, dict)
    return servers


def running_servers(
    in_force: Desired | None, containers: tuple[Container, ...], users_of_slots: Mapping[str, str]
) -> tuple[ServerStatus, ...]:
    """The containers that are somebody's server: slots that wait, and what proves an image, are nobody's."""
    declared = declared_servers(in_force) if in_force else {}
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
            stale=declared.get(container.labels.get(LABEL_SERVER, ""), {}).get("digest")
            != container.labels.get(LABEL_DIGEST),
        )
        for container in containers
        if container.state == "running" and (user := users[container.id]) is not None
    )
