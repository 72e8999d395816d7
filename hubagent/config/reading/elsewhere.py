"""What to say of a key that belongs somewhere else: known under another path, or from JupyterHub and TLJH."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from typing import Final

from hubagent.config.kinds.composites import ListOf, Named, Section
from hubagent.config.kinds.scalars import Kind, keys_of
from hubagent.config.kinds.traits import CLASS_PATTERN
from hubagent.config.model import Config
from hubagent.config.tree import Path

_FAMILIAR: Final = {
    "admin": "hub.admins",
    "admin_users": "hub.admins",
    "allowed_users": "hub.signup",
    "auth": "hub.authenticator",
    "authenticator_class": "hub.authenticator",
    "client_max_body_size": "nginx.max_body",
    "cpu": "servers.NAME.cpus",
    "cpu_limit": "servers.NAME.cpus",
    "cull": "hub.stop_idle_after",
    "cull_busy": "hub.keep_busy",
    "culler": "hub.stop_idle_after",
    "db_url": "hub.database",
    "default_app": "hub.landing",
    "default_url": "hub.landing",
    "domain": "host",
    "env": "servers.NAME.environment",
    "hostname": "host",
    "https": "tls",
    "idle_timeout": "hub.stop_idle_after",
    "jupyterhub": "hub",
    "letsencrypt": "tls.mode",
    "limits": "servers.NAME.memory and servers.NAME.cpus",
    "mem_limit": "servers.NAME.memory",
    "notebook_dir": "servers.NAME.home",
    "pids": "servers.NAME.processes",
    "pids_limit": "servers.NAME.processes",
    "port": "host (ports are always 80 and 443)",
    "profiles": "servers",
    "server_name": "host",
    "spawner": "servers",
    "ssl": "tls",
    "user_environment": "servers.NAME",
    "users": "hub.admins",
    "volumes": "servers.NAME.volume and servers.NAME.mounts",
    "worker_shutdown_timeout": "nginx.websocket_drain",
}


def advice(path: Path) -> str | None:
    """Where the last key of the path belongs, if that is known and somewhere else."""
    name = str(path[-1])
    homes = [home for home in _homes().get(name, ()) if home.rpartition(".")[0] != _spelled(path[:-1])]
    if len(homes) == 1:
        return f"write it as {homes[0]}"
    if name.lower() in _FAMILIAR:
        return f"write {_FAMILIAR[name.lower()]} instead"
    if re.fullmatch(CLASS_PATTERN, name):
        return f"write it as hub.traits.{name}, if it is a class of JupyterHub"
    return None


def _spelled(path: Path) -> str:
    parts = ["NAME" if index == 1 and path[0] == "servers" else str(part) for index, part in enumerate(path)]
    return ".".join(part for part in parts if not part.isdigit())


@functools.cache
def _homes() -> dict[str, list[str]]:
    """Each known key name with the paths where it is allowed."""
    homes: dict[str, list[str]] = {}
    for path in _paths(Section(Config), ""):
        homes.setdefault(path.rpartition(".")[2], []).append(path)
    return homes


def _paths(kind: Kind, prefix: str) -> Iterator[str]:
    if isinstance(kind, Named):
        yield from _paths(kind.section, f"{prefix}NAME.")
    elif isinstance(kind, ListOf):
        yield from _paths(kind.item, prefix)
    elif isinstance(kind, Section):
        for name, known in keys_of(kind.cls).items():
            yield prefix + name
            yield from _paths(known.kind, f"{prefix}{name}.")
