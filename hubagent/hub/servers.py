"""servers.json: the kinds of server that users can start. Read anew at every start."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent.hub.reading import Fields, parse_object, read_bytes

VERSION: Final = 1


@dataclass(frozen=True, slots=True)
class Mount:
    source: str  # path on the host
    target: str  # path in the container
    read_only: bool


@dataclass(frozen=True, slots=True)
class ServerDefinition:
    """One entry of `servers` in hubagent.yaml."""

    name: str
    title: str
    image: str
    memory_bytes: int
    cpus: float
    processes: int
    home: str  # path in the container
    volume: str  # pattern with {username}
    mounts: tuple[Mount, ...]
    environment: Mapping[str, str]
    digest: str  # changes whenever anything above does


@dataclass(frozen=True, slots=True)
class Servers:
    default: str
    network: str
    landing: str  # path of the page that users see first
    definitions: Mapping[str, ServerDefinition]


def load_servers(path: Path) -> Servers:
    """Read and parse servers.json. Raises SettingsError."""
    fields = parse_object(read_bytes(path), str(path))
    fields.version(VERSION)
    default = fields.text("default")
    network = fields.text("network")
    landing = fields.text("landing")
    if not landing.startswith("/"):
        raise fields.fault("landing", f"must be a path from the root, is {landing!r}")
    entries = fields.fields("servers")
    definitions = {name: _definition(name, entries.fields(name)) for name in entries.keys()}  # noqa: SIM118
    if default not in definitions:
        raise fields.fault("default", f"names no entry of servers: {default!r}")
    fields.done()
    return Servers(default=default, network=network, landing=landing, definitions=definitions)


def _definition(name: str, fields: Fields) -> ServerDefinition:
    definition = ServerDefinition(
        name=name,
        title=fields.text("title"),
        image=fields.text("image"),
        memory_bytes=fields.integer("memory_bytes", minimum=6 * 1024**2),  # Docker's own minimum
        cpus=fields.number("cpus", minimum=0.01),
        processes=fields.integer("processes", minimum=1),
        home=_absolute(fields, "home"),
        volume=_volume(fields),
        mounts=tuple(_mount(item) for item in fields.objects("mounts")),
        environment=_environment(fields),
        digest=fields.text("digest"),
    )
    fields.done()
    return definition


def _mount(fields: Fields) -> Mount:
    mount = Mount(
        source=_absolute(fields, "source"),
        target=_absolute(fields, "target"),
        read_only=fields.boolean("read_only"),
    )
    fields.done()
    return mount


def _absolute(fields: Fields, key: str) -> str:
    value = fields.text(key)
    if not value.startswith("/") or "\0" in value or ".." in value.split("/"):
        raise fields.fault(key, f"must be an absolute path without `..`, is {value!r}")
    return value


def _volume(fields: Fields) -> str:
    value = fields.text("volume")
    rest = value.replace("{username}", "")
    if "{username}" not in value or "{" in rest or "}" in rest:
        raise fields.fault("volume", "must hold {username} and no other braces, or users would share a home")
    return value


def _environment(fields: Fields) -> Mapping[str, str]:
    environment = fields.fields("environment")
    return {name: environment.text(name) for name in environment.keys()}  # noqa: SIM118
