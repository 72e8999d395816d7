"""The files that the hub and the proxy read, JSON and one environment file, never code; and what of them is secret.

Of `hub.traits`, some are given by files that hold secrets: these go another way than what anybody may read who may read
the hub's settings.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final

from hubagent import hub_documents
from hubagent.codec import json_object, plain
from hubagent.config.kinds.traits import TOKEN_FILE
from hubagent.config.model import Hub, MountMode, Server
from hubagent.hub_documents import HubSecrets, HubSettings, Mount, Passwords, Servers, Signup
from hubagent.layout import (
    HUB_PORT,
    NETWORK,
    PROXY_API_PORT,
    PROXY_METRICS_PORT,
    PROXY_PORT,
    network_of,
)
from hubagent.traits import known, verdict

_TOKEN_DIGEST: Final = "PROXY_TOKEN_SHA256"  # noqa: S105 (a variable's name)

Traits = Mapping[str, Mapping[str, object]]
_API_TOKEN: Final = "api_token"  # noqa: S105 - a trait's name
_HUB_CLASS: Final = "JupyterHub"
_SERVICES: Final = "services"


def _json(value: Mapping[str, object]) -> bytes:
    return (json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n").encode()


def hub_json(hub: Hub, *, gateway: str, servers_file: Path, one_time_dir: Path, secrets_digest: str) -> bytes:
    """hub.json: read once when the hub starts, so a change of it is a hub restart."""
    settings = HubSettings(
        hub_bind_url=f"http://{gateway}:{HUB_PORT}",
        proxy_url=f"http://127.0.0.1:{PROXY_PORT}",
        proxy_api_url=f"http://127.0.0.1:{PROXY_API_PORT}",
        admins=hub.admins,
        authenticator=hub.authenticator,
        signup=Signup(hub.signup.value),
        ask_email=hub.ask_email,
        passwords=Passwords(
            min_length=hub.passwords.min_length,
            check_common=hub.passwords.check_common,
            max_failed_logins=hub.passwords.max_failed_logins,
            lockout_s=hub.passwords.lockout_s,
        ),
        stop_idle_after_s=hub.stop_idle_after_s,
        keep_busy_s=hub.keep_busy_s,
        database=hub.database,
        traits=without_secrets(hub.traits),
        servers_file=servers_file,
        one_time_dir=one_time_dir,
        secrets_digest=secrets_digest,
    )
    return _json(hub_documents.HUB.plain(settings))


def secrets_json(secrets: Secrets) -> bytes:
    """secrets.json: handed to the hub alone, as a systemd credential."""
    found = HubSecrets(secrets.proxy_token, secrets.agent_token, secrets.database_password, secrets.traits)
    return _json(hub_documents.SECRETS.plain(found))


def with_tokens(content: bytes, other: bytes) -> bytes:
    """A secrets.json with the tokens of another one. Raises ValueError."""
    value, tokens = json_object(content), json_object(other)
    return _json({**value, **{name: tokens[name] for name in ("proxy_token", "agent_token")}})


def with_secrets_digest(content: bytes, secrets_digest: str) -> bytes:
    """A hub.json for other secrets. Raises ValueError."""
    return _json({**json_object(content), "secrets_digest": secrets_digest})


def with_token_digest(content: bytes, token: str) -> bytes:
    """A proxy.env for another token."""
    lines = [line for line in content.decode().splitlines() if not line.startswith(f"{_TOKEN_DIGEST}=")]
    return "".join(f"{line}\n" for line in (*lines, _token_digest(token))).encode()


def _token_digest(token: str) -> str:
    return f"{_TOKEN_DIGEST}={hashlib.sha256(token.encode()).hexdigest()}"


def agent_token(content: bytes) -> str:
    """The agent's own token out of a secrets.json."""
    return str(json.loads(content)["agent_token"])


def servers_json(servers: Sequence[Server], *, landing: str, start_at_login: bool = False) -> bytes:
    """servers.json: read by the hub at every start and sign-in, so a change of it restarts nothing."""
    entries = {str(server.name): _entry(server, server_digest(server)) for server in servers}
    return _json(
        hub_documents.SERVERS.plain(Servers(servers[0].name, NETWORK, landing, entries, start_at_login))
    )


def server_digest(server: Server) -> str:
    """Identity of what a container was started from; a running one with another digest is stale. Which private
    networks are open is not part of it, since that changes for running ones too; that any are is."""
    own: dict[str, object] = {"network": network_of(server.name, own=True)} if server.networks else {}
    if server.ai:  # alone then: a container that an earlier version started is not stale
        own["ai"] = True
    what = plain(_entry(server, digest=""))
    del what["digest"]
    return hashlib.sha256(_json({**what, **own})).hexdigest()


def _entry(server: Server, digest: str) -> hub_documents.Server:
    return hub_documents.Server(
        title=server.title,
        image=server.image,
        memory_bytes=server.memory_bytes,
        cpus=server.cpus,
        processes=server.processes,
        home=str(server.home),
        volume=server.volume,
        mounts=tuple(
            Mount(str(mount.source), str(mount.target), read_only=mount.mode is MountMode.READ_ONLY)
            for mount in server.mounts
        ),
        environment=server.environment,
        digest=digest,
    )


def proxy_env(*, gateway: str, token: str) -> bytes:
    """proxy.env: systemd's EnvironmentFile of configurable-http-proxy; a change of it is a proxy restart. Of the
    token, which is a credential, it has the digest, so that another one is a restart too."""
    lines = {
        "PROXY_IP": "127.0.0.1",
        "PROXY_PORT": PROXY_PORT,
        "PROXY_API_IP": "127.0.0.1",
        "PROXY_API_PORT": PROXY_API_PORT,
        "PROXY_METRICS_IP": "127.0.0.1",
        "PROXY_METRICS_PORT": PROXY_METRICS_PORT,
        "PROXY_DEFAULT_TARGET": f"http://{gateway}:{HUB_PORT}",
        "PROXY_ERROR_TARGET": f"http://{gateway}:{HUB_PORT}/hub/error",
    }
    return with_token_digest("".join(f"{name}={value}\n" for name, value in lines.items()).encode(), token)


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only root, and each service for its own part, may read."""

    proxy_token: str = field(repr=False)  # hex; between hub, agent and proxy
    agent_token: str = field(repr=False)  # hex; the agent's service in the hub
    database_password: str | None = field(default=None, repr=False)
    traits: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class SecretFile:
    """One trait whose value is in a file."""

    cls: str
    written: str  # client_secret_file
    trait: str  # client_secret
    path: PurePosixPath
    is_list: bool  # then each line of the file is one item

    @property
    def key(self) -> str:
        return f"hub.traits.{self.cls}.{self.written}"


def secret_files(traits: Traits) -> Iterator[SecretFile]:
    for cls, values in traits.items():
        names, there = known.ancestry(cls), known.traits(cls)
        for written, value in values.items():
            trait = verdict.secret_of(names, written, there)
            if trait is not None:
                is_list = "list" in known.kinds(names, trait)
                yield SecretFile(cls, written, trait, PurePosixPath(str(value)), is_list)


def without_secrets(traits: Traits) -> dict[str, dict[str, object]]:
    """What anybody may read who may read the hub's settings."""
    secret = {(one.cls, one.written) for one in secret_files(traits)}
    if any(_token_file(entry) for entry in _services(traits)):
        secret.add((_HUB_CLASS, _SERVICES))
    return {
        cls: {name: value for name, value in values.items() if (cls, name) not in secret}
        for cls, values in traits.items()
    }


def services_with_tokens(traits: Traits, read: Callable[[PurePosixPath, str], str]) -> list[object] | None:
    """JupyterHub.services with what `read` gives for a path and its key in place of api_token_file; None where no
    service has one."""
    services = _services(traits)
    if not any(_token_file(entry) for entry in services):
        return None
    key = f"hub.traits.{_HUB_CLASS}.{_SERVICES}"
    found: list[object] = []
    for index, entry in enumerate(services):
        path = _token_file(entry)
        if path is None or not isinstance(entry, Mapping):
            found.append(entry)
            continue
        rest = {name: value for name, value in entry.items() if name != TOKEN_FILE}
        found.append({**rest, _API_TOKEN: read(path, f"{key}[{index}].{TOKEN_FILE}")})
    return found


def named_files(traits: Traits) -> Iterator[PurePosixPath]:
    """Every file that a trait names, secret or not."""
    for values in traits.values():
        for name, value in values.items():
            if name.endswith("_file") and isinstance(value, str):
                yield PurePosixPath(value)
    for entry in _services(traits):
        path = _token_file(entry)
        if path is not None:
            yield path


def _services(traits: Traits) -> list[object]:
    value = traits.get(_HUB_CLASS, {}).get(_SERVICES)
    return value if isinstance(value, list) else []


def _token_file(entry: object) -> PurePosixPath | None:
    path = entry.get(TOKEN_FILE) if isinstance(entry, Mapping) else None
    return PurePosixPath(path) if isinstance(path, str) else None
