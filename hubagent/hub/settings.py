"""hub.json and secrets.json, as the hub takes them, and where they are."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from hubagent.codec import CodecError
from hubagent.hub.reading import SettingsError, at_least, parse, read_bytes
from hubagent.hub_documents import HUB, SECRETS, HubSecrets, HubSettings
from hubagent.layout import Layout

DEFAULT_HUB_JSON: Final = Path("/var/lib/hubagent/current/hub/hub.json")
DEFAULT_STATE: Final = Path("/var/lib/jupyterhub")


@dataclass(frozen=True, slots=True)
class Places:
    """Where the hub's files are, from its environment (see systemd.exec(5))."""

    hub_json: Path
    secrets_json: Path
    state: Path  # StateDirectory=: database, cookie secret
    runtime: Path | None  # RuntimeDirectory=: the `loaded` marker
    first_pages: Path  # what the agent knows of images, and need not be there

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
            first_pages=Path(environment.get("HUBAGENT_FIRST_PAGES", Layout().first_pages)),
        )


def load_hub(path: Path) -> HubSettings:
    """Read and parse hub.json. Raises SettingsError."""
    return parse_hub(read_bytes(path), path)


def parse_hub(content: bytes, path: Path) -> HubSettings:
    """The same from its bytes."""
    return parse(content, path, HUB, _check_hub)


def load_secrets(path: Path) -> HubSecrets:
    """Read and parse secrets.json. Raises SettingsError, whose text holds no secret."""
    return parse(read_bytes(path), path, SECRETS, _check_secrets)


def _check_hub(settings: HubSettings) -> None:
    for key in ("hub_bind_url", "proxy_url", "proxy_api_url"):
        _check_url(getattr(settings, key), key)
    passwords = settings.passwords
    at_least(1, passwords.min_length, "passwords.min_length")
    if passwords.min_length > 72:
        raise CodecError(
            "must be at most 72, the bytes that bcrypt reads of a password", "passwords.min_length"
        )
    at_least(0, passwords.max_failed_logins, "passwords.max_failed_logins")
    at_least(0, passwords.lockout_s, "passwords.lockout_s")
    at_least(0, settings.stop_idle_after_s, "stop_idle_after_s")
    at_least(0, settings.keep_busy_s, "keep_busy_s")
    _check_database(settings.database)
    for key in ("servers_file", "one_time_dir"):
        _check_absolute(getattr(settings, key), key)


def _check_secrets(secrets: HubSecrets) -> None:
    for key in ("proxy_token", "agent_token"):
        token = getattr(secrets, key)
        if len(token) < 16 or not token.isascii() or not token.isprintable() or " " in token:
            raise CodecError("must be at least 16 printable ASCII characters", key)


def _check_url(url: str, key: str) -> None:
    try:
        parts = urlsplit(url)
        valid = parts.hostname and parts.port and not parts.path and parts.scheme in {"http", "https"}
    except ValueError:
        valid = False
    if not valid:
        raise CodecError(f"must be like http://127.0.0.1:8000, is {url!r}", key)


def _check_database(url: str) -> None:
    if url == "sqlite":
        return
    try:
        parts = urlsplit(url)
        _ = parts.port
    except ValueError as error:
        raise CodecError(f"not a URL: {error}", "database") from error
    if parts.scheme not in {"postgresql", "postgres"} or not parts.path.strip("/"):
        raise CodecError("must be sqlite, or like postgresql://user@host/database", "database")
    if parts.password is not None:
        raise CodecError("holds a password; give it by hub.database_password_file instead", "database")


def _check_absolute(path: Path, key: str) -> None:
    if not path.is_absolute() or "\0" in str(path):
        raise CodecError(f"must be an absolute path, is {str(path)!r}", key)
