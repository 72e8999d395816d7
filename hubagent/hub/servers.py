"""servers.json, as the hub takes it."""

from __future__ import annotations

from pathlib import Path

from hubagent.codec import CodecError
from hubagent.hub.reading import at_least, parse, read_bytes
from hubagent.hub_documents import SERVERS, Server, Servers
from hubagent.wire import LANDINGS


def load_servers(path: Path) -> Servers:
    """Read and parse servers.json. Raises SettingsError."""
    return parse(read_bytes(path), path, SERVERS, _check)


def _check(servers: Servers) -> None:
    if not servers.landing.startswith("/") and servers.landing not in LANDINGS:
        words = ", ".join(LANDINGS)
        raise CodecError(
            f"must be a path from the root, or one of {words}; is {servers.landing!r}", "landing"
        )
    for name, server in servers.servers.items():
        try:
            _check_server(server)
        except CodecError as error:
            raise error.within(f"servers.{name}") from None
    if servers.default not in servers.servers:
        raise CodecError(f"is not an entry of servers: {servers.default!r}", "default")


def _check_server(server: Server) -> None:
    at_least(6 * 1024**2, server.memory_bytes, "memory_bytes")  # Docker's own minimum
    at_least(0.01, server.cpus, "cpus")
    at_least(1, server.processes, "processes")
    _check_absolute(server.home, "home")
    for index, mount in enumerate(server.mounts):
        _check_absolute(mount.source, f"mounts[{index}].source")
        _check_absolute(mount.target, f"mounts[{index}].target")
    rest = server.volume.replace("{username}", "")
    if "{username}" not in server.volume or "{" in rest or "}" in rest:
        raise CodecError("must hold {username} and no other braces, or users would share a home", "volume")


def _check_absolute(path: str, key: str) -> None:
    if not path.startswith("/") or "\0" in path or ".." in path.split("/"):
        raise CodecError(f"must be an absolute path without `..`, is {path!r}", key)
