"""Which database the hub uses."""

from __future__ import annotations

from pathlib import Path
from urllib.parse import quote, urlsplit

from hubagent.hub.reading import SettingsError


def database_url(database: str, password: str | None, state: Path) -> str:
    """The SQLAlchemy URL. It holds the password, so it must never be logged or put in an argv.

    `database` is `sqlite` or a postgresql:// URL without a password. Raises SettingsError when a
    password is needed and there is none to put in.
    """
    if database == "sqlite":
        return f"sqlite:///{state / 'jupyterhub.sqlite'}"
    parts = urlsplit(database)
    user, at, host = parts.netloc.rpartition("@")
    if password is not None:
        if not user:
            raise SettingsError(
                "hub.database: there is a password but no user: postgresql://USER@host/database"
            )
        user = f"{user}:{quote(password, safe='')}"
    query = f"?{parts.query}" if parts.query else ""
    return f"postgresql+psycopg://{user}{at}{host}{parts.path}{query}"
