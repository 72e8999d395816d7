"""Servers as containers."""

from __future__ import annotations

from dockerspawner import DockerSpawner
from traitlets import Unicode


class HubagentSpawner(DockerSpawner):  # type: ignore[misc]  # dockerspawner is untyped
    """DockerSpawner for the entries of servers.json."""

    servers_file = Unicode("/var/lib/hubagent/current/hub/servers.json", config=True)
