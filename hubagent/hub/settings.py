"""hub.json and secrets.json: what the agent tells the hub at its start, as frozen values."""

from __future__ import annotations

import enum
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Final
from urllib.parse import urlsplit

from hubagent.hub.reading import Fields, SettingsError, parse_object, read_bytes

VERSION: Final = 1
DEFAULT_HUB_JSON: Final = Path("/var/lib/hubagent/current/hub/hub.json")
DEFAULT_STATE: Final = Path("/var/lib/jupyterhub")

Traits = Mapping[str, Mapping[str, object]]
"""JupyterHub's own settings: class name, then trait name, then value."""


class Signup(enum.Enum):
    """Who may make an account: anyone after approval, anyone at once, nobody."""

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
    """hub.json. URLs have no path; times are seconds."""

    hub_bind_url: str
    proxy_url: str
    proxy_api_url: str
    admins: tuple[str, ...]
    authenticator: str
    signup: Signup
    ask_email: bool
    passwords: Passwords
    stop_idle_after_s: float  # 0: never
    keep_busy_s: float  # 0: not at all
    database: str
    traits: Traits
    servers_file: Path
    one_time_dir: Path
    sha256: str  # hex, of the bytes this came from


@dataclass(frozen=True, slots=True)
class HubSecrets:
    """secrets.json. Kept out of every repr, so that no log or traceback shows it."""

    proxy_token: str = field(repr=False)
    agent_token: str = field(repr=False)
    database_password: str | None = field(repr=False)
    traits: Traits = field(repr=False)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the hub's files are, from its environment (see systemd.exec(5))."""

    hub_json: Path
    secrets_json: Path
    state: Path  # StateDirectory=: database, cookie secret
    runtime: Path | None  # RuntimeDirectory=: the `loaded` marker

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> Places:
        """Raises SettingsError without $CREDENTIALS_DIRECTORY."""
        credentials = environment.get("CREDENTIALS_DIRECTORY")
        if not credentials:
            raise SettingsError(
                "CREDENTIALS_DIRECTORY is not set: start the hub by `systemctl start jupyterhub`, "
                "or set it to a folder that holds secrets.json"
            )
        runtime = environment.get("RUNTIME_DIRECTORY")
        return cls(
            hub_json=Path(environment.get("HUBAGENT_HUB_CONFIG", DEFAULT_HUB_JSON)),
            secrets_json=Path(credentials) / "secrets.json",
            state=Path(environment.get("STATE_DIRECTORY", DEFAULT_STATE)),
            runtime=Path(runtime) if runtime else None,
        )


def load_hub(path: Path) -> HubSettings:
    """Read and parse hub.json. Raises SettingsError."""
    content = read_bytes(path)
    fields = parse_object(content, str(path))
    fields.version(VERSION)
    fields.text("secrets_digest")
    settings = HubSettings(
        hub_bind_url=_url(fields, "hub_bind_url"),
        proxy_url=_url(fields, "proxy_url"),
        proxy_api_url=_url(fields, "proxy_api_url"),
        admins=fields.texts("admins"),
        authenticator=fields.text("authenticator"),
        signup=_signup(fields),
        ask_email=fields.boolean("ask_email"),
        passwords=_passwords(fields.fields("passwords")),
        stop_idle_after_s=fields.number("stop_idle_after_s"),
        # A generation from before this key may be in force again.
        keep_busy_s=fields.number("keep_busy_s") if "keep_busy_s" in fields.keys() else 0.0,  # noqa: SIM118
        database=_database(fields),
        traits=_traits(fields),
        servers_file=_absolute(fields, "servers_file"),
        one_time_dir=_absolute(fields, "one_time_dir"),
        sha256=hashlib.sha256(content).hexdigest(),
    )
    fields.done()
    return settings


def load_secrets(path: Path) -> HubSecrets:
    """Read and parse secrets.json. Raises SettingsError, whose text holds no secret."""
    fields = parse_object(read_bytes(path), str(path))
    secrets = HubSecrets(
        proxy_token=_token(fields, "proxy_token"),
        agent_token=_token(fields, "agent_token"),
        database_password=fields.optional_text("database_password"),
        traits=_traits(fields),
    )
    fields.done()
    return secrets


def _url(fields: Fields, key: str) -> str:
    url = fields.text(key)
    try:
        parts = urlsplit(url)
        whole = parts.hostname and parts.port and not parts.path.strip("/")
        valid = whole and parts.scheme in {"http", "https"}
    except ValueError:
        valid = False
    if not valid:
        raise fields.fault(key, f"must be like http://127.0.0.1:8000, is {url!r}")
    return url.rstrip("/")


def _token(fields: Fields, key: str) -> str:
    token = fields.text(key)
    if len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token:
        raise fields.fault(key, "must be at least 16 printable ASCII characters")
    return token


def _signup(fields: Fields) -> Signup:
    value = fields.text("signup")
    try:
        return Signup(value)
    except ValueError:
        choices = ", ".join(choice.value for choice in Signup)
        raise fields.fault("signup", f"must be one of {choices}; is {value!r}") from None


def _passwords(fields: Fields) -> Passwords:
    passwords = Passwords(
        min_length=fields.integer("min_length", minimum=1),
        check_common=fields.boolean("check_common"),
        max_failed_logins=fields.integer("max_failed_logins"),
        lockout_s=fields.number("lockout_s"),
    )
    if passwords.min_length > 72:
        raise fields.fault("min_length", "must be at most 72, the bytes that bcrypt reads of a password")
    fields.done()
    return passwords


def _database(fields: Fields) -> str:
    url = fields.text("database")
    if url == "sqlite":
        return url
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise fields.fault("database", f"not a URL: {error}") from error
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise fields.fault("database", "must be sqlite, or like postgresql://user@host/database")
    if parts.password is not None:
        raise fields.fault("database", "holds a password; give it by hub.database_password_file instead")
    return url


def _traits(fields: Fields) -> Traits:
    traits = fields.fields("traits")
    return {name: traits.mapping(name) for name in traits.keys()}  # noqa: SIM118 - not a mapping


def _absolute(fields: Fields, key: str) -> Path:
    value = fields.text(key)
    if not PurePosixPath(value).is_absolute() or "\0" in value:
        raise fields.fault(key, f"must be an absolute path, is {value!r}")
    return Path(value)
