"""A change of `hub.database` takes along what the hub knows: accounts, passwords, tokens, groups, running servers.

The copy is one transaction of the database that it goes to (an SQLite file is made under another name), so that an
interrupted start leaves none, and the next one begins anew. The database that it comes from is only read. See
docs/adr/0024.
"""

from __future__ import annotations

import dataclasses
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from sqlalchemy import create_engine, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import StaticPool
from traitlets.log import get_logger

from hubagent.hub import database_identity, schema, tables
from hubagent.hub.database import database_url, engine_of, reason_of, sqlite_file
from hubagent.hub.database_identity import Former, Marker, Record
from hubagent.hub.reading import SettingsError
from hubagent.hub_documents import HubSecrets, HubSettings

_SQLITE: Final = "sqlite"
_PATIENCE: Final = text("set local lock_timeout = '10s'")


@dataclasses.dataclass(frozen=True, slots=True)
class Database:
    """A database by its name in the configuration, which holds no password, and by its URL, which may."""

    name: str
    url: str = dataclasses.field(repr=False)
    file: Path | None  # of an SQLite database

    @classmethod
    def of(cls, name: str, password: str | None, state: Path) -> Database:
        """Raises SettingsError for a password without a user."""
        file = sqlite_file(state) if name == _SQLITE else None
        return cls(name, database_url(name, password, state), file)

    def __str__(self) -> str:
        return self.name if self.file is None else f"{self.name} ({self.file})"


@dataclasses.dataclass(frozen=True, slots=True)
class Move:
    """A copy that is due."""

    source: Database
    source_identity: str
    target: Database


class GoneError(SettingsError):
    """The database that the accounts are in cannot be read."""


def rehearse(settings: HubSettings, secrets: HubSecrets, state: Path) -> None:
    """Would `bring_over` do? The whole copy is made and not kept. Raises SettingsError."""
    target = Database.of(settings.database, secrets.database_password, state)
    move = _due(database_identity.read_record(state), target, state)
    if move is None or schema.is_behind(move.source.url):
        return
    with _told(move), _reading(move.source) as source, _trying(target) as copy:
        tables.copy(source, copy, _names(source))


def bring_over(settings: HubSettings, secrets: HubSecrets, state: Path) -> str:
    """Copy what is in the database of the start before, if this one is to be another.

    Returns what a person should know, empty when there is nothing. Raises SettingsError when what is there would be
    lost, or cannot be copied; then nothing has changed.
    """
    target = Database.of(settings.database, secrets.database_password, state)
    record = database_identity.read_record(state)
    try:
        move = _due(record, target, state)
    except GoneError as error:
        left = _left(record, target)
        if left is None:
            raise
        get_logger().error("%s", error)
        return (
            f"hub.database: {target} is as it was when the hub stopped using it at {left}; later data is in "
            f"{record.database if record else 'the other one'}, which could not be read. Put that back in "
            "hub.database when it can be read"
        )
    if move is None:
        return ""
    schema.bring_up_to_date(move.source.url)
    if record is None:
        _mark(move)
    get_logger().warning("The hub's data is being copied from %s to %s", move.source, target)
    with _told(move), _reading(move.source) as source:
        found = _copy(source, move)
    left = datetime.now(UTC).isoformat(timespec="seconds")
    _note(state, record, Former(move.source.name, left, found.digest), move)
    rows = ", ".join(f"{number} {name}" for name, number in sorted(found.rows.items()) if number)
    get_logger().warning("Copied and compared: %s. %s is left as it was", rows, move.source)
    return ""


def settle(settings: HubSettings, secrets: HubSecrets, state: Path) -> None:
    """Remember that this is the database now. Raises SettingsError when it does not answer."""
    database = Database.of(settings.database, secrets.database_password, state)
    record = database_identity.read_record(state)
    try:
        with engine_of(make_url(database.url)).begin() as connection:
            marker = database_identity.read_marker(connection)
            if marker is None:
                marker = Marker(database_identity.new_identity())
                database_identity.write_marker(connection, marker)
        former = (
            {one: left for one, left in record.former.items() if one != marker.identity} if record else {}
        )
        now = Record(marker.identity, database.name, secrets.database_password, former)
        if now != record:
            database_identity.write_record(state, now)
    except (SQLAlchemyError, OSError) as error:
        raise SettingsError(f"hub.database: {database} cannot be written to: {reason_of(error)}") from None


def _due(record: Record | None, target: Database, state: Path) -> Move | None:
    """The copy that a start on `target` needs; None for none. Raises SettingsError when it cannot be made without
    losing something, GoneError when what would be copied cannot be read."""
    if record is None:
        return _first(target, state)
    source = Database.of(record.database, record.password, state)
    if source.name == target.name:
        return None
    with _asked(target) as connection:
        marker = database_identity.read_marker(connection)
        there = tables.people(connection)
        held = tables.contents(connection, _names(connection))
    if marker is not None and marker.identity == record.identity:
        return None  # the same one, by another name
    try:
        with _reading(source) as connection:
            here = tables.people(connection)
            kept = tables.contents(connection, _names(connection))
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise GoneError(
            f"hub.database: the accounts are in {source}, which cannot be read: {reason_of(error)}; without it they "
            f"cannot be copied to {target}. Start it, or correct hub.database. If it is lost: "
            f"{_instead(target, state)}"
        ) from None
    if not here or kept.digest == held.digest:
        return None
    if there and not _is_known(record, marker, held.digest):
        lost = len(here - there)
        raise SettingsError(
            f"hub.database: {target} has {_people(len(there))} already, and is not a copy of {source}, where the hub "
            f"has {_people(len(here))}: {_people(lost)} would lose theirs, and the others' passwords and tokens may "
            f"differ. Name an empty database, and all is copied. {_instead(target, state)}"
        )
    return Move(source, record.identity, target)


def _first(target: Database, state: Path) -> Move | None:
    """Of a hub that has kept no record: an earlier hubagent's, or a new one."""
    source = Database.of(_SQLITE, None, state)
    if target.file is not None or source.file is None or not source.file.exists():
        return None
    with _asked(target) as connection:
        if tables.people(connection):
            return None
    with _told(Move(source, "", target)), _reading(source) as connection:
        if not tables.people(connection):
            return None
        marker = database_identity.read_marker(connection)
    return Move(source, marker.identity if marker else database_identity.new_identity(), target)


def _is_known(record: Record, marker: Marker | None, digest: str) -> bool:
    """Whether all that a database holds is, or was, in the one of the last start too: nothing of it can be lost."""
    if marker is None:
        return False
    left = record.former.get(marker.identity)
    copied = marker.digest if marker.copied_from == record.identity else None
    return digest in {left.digest if left else None, copied}


def _left(record: Record | None, target: Database) -> str | None:
    """When the hub left this database, if it has been there."""
    if record is None:
        return None
    with _asked(target) as connection:
        marker = database_identity.read_marker(connection)
    left = record.former.get(marker.identity) if marker else None
    return left.left if left else None


def _instead(target: Database, state: Path) -> str:
    record = database_identity.record_file(state)
    return f"To work with what is in {target} instead, remove {record} and run `hubagent apply`"


def _people(number: int) -> str:
    return "1 person" if number == 1 else f"{number} people"


def _names(connection: Connection) -> tuple[str, ...]:
    marker = database_identity.read_marker(connection)
    return tables.of_the_hub(connection, marker.tables if marker else ())


@contextmanager
def _asked(database: Database) -> Iterator[Connection]:
    """For questions. Raises SettingsError when it does not answer."""
    try:
        with _reading(database) as connection:
            yield connection
    except (SQLAlchemyError, sqlite3.Error, OSError) as error:
        raise SettingsError(f"hub.database: {database} cannot be read: {reason_of(error)}") from None


@contextmanager
def _reading(database: Database) -> Iterator[Connection]:
    """The database as it is at one moment. An SQLite file that does not exist is an empty one."""
    if database.file is not None:
        with _in_memory() as memory:
            if database.file.exists():
                schema.snapshot(database.file, memory)
            with _on(memory) as connection:
                yield connection
        return
    engine = engine_of(make_url(database.url)).execution_options(isolation_level="REPEATABLE READ")
    with engine.connect() as connection:
        yield connection


@contextmanager
def _trying(target: Database) -> Iterator[Connection]:
    """For a copy that is not kept."""
    if target.file is not None:
        with _in_memory() as memory, _on(memory) as connection:
            yield connection
        return
    with engine_of(make_url(target.url)).connect() as connection:
        connection.execute(_PATIENCE)
        yield connection
        connection.rollback()


@contextmanager
def _in_memory() -> Iterator[sqlite3.Connection]:
    memory = sqlite3.connect(":memory:", check_same_thread=False)
    try:
        yield memory
    finally:
        memory.close()


@contextmanager
def _on(memory: sqlite3.Connection) -> Iterator[Connection]:
    engine = create_engine("sqlite://", creator=lambda: memory, poolclass=StaticPool, hide_parameters=True)
    with engine.connect() as connection:
        yield connection


@contextmanager
def _told(move: Move) -> Iterator[None]:
    try:
        yield
    except (SQLAlchemyError, sqlite3.Error, OSError, SettingsError) as error:
        raise SettingsError(
            f"hub.database: what the hub knows cannot be copied from {move.source} to {move.target}: "
            f"{reason_of(error)}; both are as they were"
        ) from None


def _copy(source: Connection, move: Move) -> tables.Contents:
    """Whole, or not at all."""
    if move.target.file is None:
        with engine_of(make_url(move.target.url)).begin() as target:
            target.execute(_PATIENCE)
            return _fill(source, target, move)
    file = move.target.file
    new = file.with_name(f"{file.name}.copying")
    _remove(new)
    try:
        os.close(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
        with engine_of(make_url(f"sqlite:///{new}")).begin() as target:
            found = _fill(source, target, move)
        schema.sync(new)
        if file.exists():
            schema.set_aside(file)
        new.rename(file)
        schema.sync(file)
    finally:
        _remove(new)
    return found


def _fill(source: Connection, target: Connection, move: Move) -> tables.Contents:
    found = tables.copy(source, target, _names(source))
    marker = Marker(
        database_identity.new_identity(), move.source_identity, found.digest, tuple(sorted(found.rows))
    )
    database_identity.write_marker(target, marker)
    return found


def _note(state: Path, record: Record | None, left: Former, move: Move) -> None:
    """That the source is of the past, before anything is written to the copy."""
    with _asked(move.target) as connection:
        marker = database_identity.read_marker(connection)
    assert marker is not None
    former = {**(record.former if record else {}), move.source_identity: left}
    password = make_url(move.target.url).password
    database_identity.write_record(state, Record(marker.identity, move.target.name, password, former))


def _mark(move: Move) -> None:
    """Let the source be known again, which an earlier hubagent has not marked."""
    with _told(move), engine_of(make_url(move.source.url)).begin() as connection:
        if database_identity.read_marker(connection) is None:
            database_identity.write_marker(connection, Marker(move.source_identity))


def _remove(file: Path) -> None:
    for ending in ("", "-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            file.with_name(f"{file.name}{ending}").unlink()
