"""Which database the hub works on, told in two places: in the database itself, and beside the hub's cookie secret.

By the two a start knows whether the database is the one of the start before, however its URL is written, and where
else the accounts are when it is not.
"""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy import Column, MetaData, String, Table, Text, inspect, select
from sqlalchemy.engine import Connection
from traitlets.log import get_logger

from hubagent.codec import Codec, CodecError
from hubagent.hub.tables import MARKER

_FILE: Final = "database.json"
_TABLE: Final = Table(
    MARKER,
    MetaData(),
    Column("identity", String(32), primary_key=True),
    Column("copied_from", String(32)),
    Column("digest", String(64)),
    Column("tables", Text, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Marker:
    """What a database says of itself."""

    identity: str
    copied_from: str | None = None  # the identity of another database
    digest: str | None = None  # of the contents when they had just been copied
    tables: tuple[str, ...] = ()  # those that were copied


@dataclass(frozen=True, slots=True)
class Former:
    """A database that the hub worked on before."""

    database: str  # as in hub.database
    left: str  # ISO 8601, UTC
    digest: str  # of its contents then


@dataclass(frozen=True, slots=True)
class Record:
    """The database of the last start, and those before it by their identity."""

    identity: str
    database: str  # as in hub.database
    password: str | None = field(default=None, repr=False)
    former: Mapping[str, Former] = field(default_factory=dict)


_RECORD: Final = Codec(Record, strict=False)


def new_identity() -> str:
    return secrets.token_hex(16)


def read_marker(connection: Connection) -> Marker | None:
    """None where no hub of this kind has been at work."""
    if not inspect(connection).has_table(MARKER):
        return None
    row = connection.execute(select(_TABLE)).first()
    return None if row is None else Marker(row[0], row[1], row[2], tuple(json.loads(row[3])))


def write_marker(connection: Connection, marker: Marker) -> None:
    """The caller commits."""
    _TABLE.create(connection, checkfirst=True)
    connection.execute(_TABLE.delete())
    connection.execute(
        _TABLE.insert().values(
            identity=marker.identity,
            copied_from=marker.copied_from,
            digest=marker.digest,
            tables=json.dumps(marker.tables),
        )
    )


def record_file(state: Path) -> Path:
    return state / _FILE


def read_record(state: Path) -> Record | None:
    """None before the first start, and for a file that is not one: then the database is taken as it is."""
    path = record_file(state)
    try:
        return _RECORD.loads(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, CodecError) as error:
        get_logger().warning("%s cannot be read and is created again: %s", path, type(error).__name__)
        return None


def write_record(state: Path, record: Record) -> None:
    """Whole or not at all, and for nobody else: it may hold the password of a database server. Raises OSError."""
    path = record_file(state)
    temporary = path.with_name(f"{path.name}.new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with open(descriptor, "w", encoding="utf-8") as file:
        json.dump(_RECORD.plain(record), file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
