"""What the agent hands to the hub: hub.json, secrets.json and servers.json, which the homes helper reads as well."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from hubagent.codec import Codec, later

Traits = Mapping[str, Mapping[str, object]]
"""JupyterHub's own settings: class name, then trait name, then value."""


class Signup(enum.Enum):
    """Who may create an account: anyone after approval, anyone at once, nobody."""

    APPROVAL = "approval"
    OPEN = "open"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class Passwords:
    min_length: int  # characters
    check_common: bool
    max_failed_logins: int  # 0: never locked
    lockout_s: float


@dataclass(frozen=True, slots=True)
class HubSettings:
    """hub.json: read once when the hub starts. URLs have no path; times are seconds."""

    hub_bind_url: str
    proxy_url: str
    proxy_api_url: str
    admins: tuple[str, ...]
    authenticator: str
    signup: Signup
    ask_email: bool
    passwords: Passwords
    stop_idle_after_s: float  # 0: never
    database: str
    traits: Traits
    servers_file: Path
    one_time_dir: Path
    secrets_digest: str  # so that other secrets are another hub.json
    keep_busy_s: float = 0.0  # 0: not at all; a generation from before this key may be in force again


@dataclass(frozen=True, slots=True)
class HubSecrets:
    """secrets.json: a systemd credential of the hub. Kept out of every repr, so that no log or traceback shows it."""

    proxy_token: str = field(repr=False)
    agent_token: str = field(repr=False)
    database_password: str | None = field(repr=False)
    traits: Traits = field(repr=False)


@dataclass(frozen=True, slots=True)
class Mount:
    source: str  # path on the host
    target: str  # path in the container
    read_only: bool


@dataclass(frozen=True, slots=True)
class Server:
    """One entry of `servers` in hubagent.yaml."""

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
    """servers.json: read anew at every start and sign-in."""

    default: str
    network: str
    landing: str  # path of the page that users see first, or one of wire.LANDINGS
    servers: Mapping[str, Server]
    start_at_login: bool = later(default=False)


@dataclass(frozen=True, slots=True)
class FirstPages:
    """first-pages.json: what the first page of a server needs of nginx, read anew for every page of the hub. Beside the
    generations, since it follows images. An entry that is absent, or all of it, means that nothing is known."""

    servers: Mapping[str, tuple[str, ...]]  # by entry of `servers`: absolute paths in the site, with queries


HUB: Final = Codec(HubSettings, strict=True, mark=("version", 1))
SECRETS: Final = Codec(HubSecrets, strict=True)
SERVERS: Final = Codec(Servers, strict=True, mark=("version", 1))

FIRST_PAGES: Final = Codec(FirstPages, strict=False, mark=("version", 1))

SERVERS_IN_FORCE: Final = Codec(Servers, strict=False, mark=("version", 1))
"""For agent and helper: a generation that is in force stays so, whichever version has written it."""
