"""Which database the hub uses, and how SQLite writes."""

from __future__ import annotations

import sqlite3
from pathlib import Path
from typing import Final
from urllib.parse import quote, urlsplit

from jupyterhub import orm
from jupyterhub.utils import compare_token
from sqlalchemy import create_engine, event, inspect, text
from sqlalchemy.engine import URL, Engine, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session
from sqlalchemy.pool import NullPool

from hubagent.hub import sign_in_probe
from hubagent.hub.reading import SettingsError

_WITHIN_S: Final = 5
_LIMITS: Final = {
    "connect_timeout": _WITHIN_S,
    "tcp_user_timeout": 2 * _WITHIN_S * 1000,  # milliseconds
    "keepalives_idle": _WITHIN_S,
    "keepalives_interval": 1,
    "keepalives_count": _WITHIN_S,
}
"""How long a server that has gone without a word is waited for; libpq's names and units (PostgreSQL's manual, section
"Parameter Key Words" of "Database Connection Control Functions").

The hub waits for its database on its event loop, so nobody has an answer meanwhile. Without these Linux gives up after
2 minutes where it connects (tcp_syn_retries of tcp(7)), 15 minutes where it has sent something (tcp_retries2), and
never where it waits for an answer. Ten seconds are five tries to send a packet again, for a network that loses some.
"""

_TOKENS: Final = text(
    "select id, hashed from api_tokens where service_id in (select id from services where name = :service)"
)
_FORGET: Final = text("delete from api_tokens where id = :id")
_MAY_MAKE_TABLES: Final = "select coalesce(has_schema_privilege(current_schema(), 'create'), false)"


def database_url(database: str, password: str | None, state: Path) -> str:
    """The SQLAlchemy URL. It holds the password, so it must never be logged or put in an argv.

    `database` is `sqlite` or a postgresql:// URL without a password. Raises SettingsError when a
    password is needed and there is none to put in.
    """
    if database == "sqlite":
        return f"sqlite:///{sqlite_file(state)}"
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


def try_out(url: str) -> None:
    """Connect as the hub would. Raises SettingsError, without the password, when it could not work there."""
    place = make_url(url)
    if place.get_backend_name() == "sqlite":
        return
    try:
        with engine_of(place).connect() as connection:
            may_make_tables = connection.execute(text(_MAY_MAKE_TABLES)).scalar()
    except SQLAlchemyError as error:
        raise SettingsError(
            f"hub.database: no connection to {place.render_as_string(hide_password=True)}; check hub.database, "
            f"hub.database_password_file and the database server: {reason_of(error)}"
        ) from None
    if not may_make_tables:
        raise SettingsError(
            f"hub.database: {place.username} may not create tables in {place.database}; make it the owner: "
            f"ALTER DATABASE {place.database} OWNER TO {place.username}"
        )


def forget_tokens(url: str, service: str, *, but: str) -> None:
    """Remove every API token of a service except this one. JupyterHub adds the configured one when it starts, and
    would take those from before for ever. Raises SettingsError when the database does not answer."""
    place = make_url(url)
    if place.get_backend_name() == "sqlite" and not Path(str(place.database)).exists():
        return
    try:
        with engine_of(place).begin() as connection:
            if not inspect(connection).has_table("api_tokens"):
                return
            for number, hashed in connection.execute(_TOKENS, {"service": service}).all():
                if not compare_token(hashed, but):
                    connection.execute(_FORGET, {"id": number})
    except SQLAlchemyError as error:
        raise SettingsError(
            f"hub.database: old tokens of {service} cannot be removed: {reason_of(error)}"
        ) from None


def forget_probe(url: str) -> None:
    """Remove the account of a sign-in that only proved something, when the hub died in that moment. Raises
    SettingsError when the database does not answer."""
    place = make_url(url)
    if place.get_backend_name() == "sqlite" and not Path(str(place.database)).exists():
        return
    try:
        with Session(engine_of(place)) as session:
            known = inspect(session.connection()).has_table("users")
            probe = orm.User.find(session, sign_in_probe.NAME) if known else None
            if probe is not None:
                session.delete(probe)
                session.commit()
    except SQLAlchemyError as error:
        raise SettingsError(f"hub.database: {reason_of(error)}") from None


def engine_of(place: URL, *, locked_s: float | None = None) -> Engine:
    """Connections of their own, which say nothing of what they write when it fails. `locked_s` is how long they wait
    for whoever writes to SQLite's file."""
    arguments: dict[str, float] = dict(limits(place))
    if locked_s is not None:
        arguments["timeout"] = locked_s
    return create_engine(place, poolclass=NullPool, hide_parameters=True, connect_args=arguments)


def limits(place: URL) -> dict[str, int]:
    """What to connect with, so that a server that has gone is noticed. What the URL says itself is left to it."""
    if place.get_backend_name() == "sqlite":
        return {}
    return {name: value for name, value in _LIMITS.items() if name not in place.query}


def reason_of(error: Exception) -> str:
    """What a database said, on one line and without the statement."""
    return " ".join(str(getattr(error, "orig", None) or error).split())


def sqlite_file(state: Path) -> Path:
    return state / "jupyterhub.sqlite"


def prepare_sqlite() -> None:
    """Let every SQLite connection of this process write ahead.

    JupyterHub commits several times for each login and start, on its event loop. In SQLite's default mode
    each commit waits for the disk three times; with a write-ahead log and `synchronous=NORMAL` it waits for
    nothing, a crash of the hub loses nothing, and a power cut loses the last seconds but damages nothing.
    """
    if not event.contains(Engine, "connect", _write_ahead):
        event.listen(Engine, "connect", _write_ahead)


def _write_ahead(connection: object, _record: object) -> None:
    if isinstance(connection, sqlite3.Connection):
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=NORMAL")
