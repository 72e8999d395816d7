"""All that a database of the hub holds: its tables counted, known by a digest, and copied into another database.

Rows are compared as plain values (text, numbers, times), which SQLite and PostgreSQL give alike. A digest is kept in
the database and beside it and compared years later, by another Python: so it is of JSON that is defined here.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final

from jupyterhub.orm import Base
from nativeauthenticator.orm import UserInfo
from sqlalchemy import Column, Integer, MetaData, Table, func, inspect, select, text
from sqlalchemy.engine import Connection
from sqlalchemy.types import TypeDecorator, TypeEngine

from hubagent.hub.reading import SettingsError

MARKER: Final = "hubagent_database"
"""The table that hubagent keeps in each database of the hub; see hubagent.hub.database_identity."""

_AT_ONCE: Final = 500  # rows that are inserted by one statement
_MODULO: Final = 2**256
_GO_ON: Final = text("select setval(pg_get_serial_sequence(:table, :column), :last)")
_PEOPLE: Final = (("users", "name"), (UserInfo.__tablename__, "username"))


@dataclass(frozen=True, slots=True)
class Contents:
    """What a database holds, but for the marker."""

    rows: Mapping[str, int]  # their number, by table
    digest: str  # hex; the order of rows and tables does not matter


class _Sum:
    """Grows with each row into a table's number of rows and digest."""

    def __init__(self) -> None:
        self.rows = 0
        self._total = 0

    def add(self, row: Mapping[str, object]) -> None:
        self.rows += 1
        self._total = (self._total + int.from_bytes(hashlib.sha256(row_bytes(row)).digest())) % _MODULO

    @property
    def text(self) -> str:
        return f"{self.rows} {self._total:x}"


def row_bytes(row: Mapping[str, object]) -> bytes:
    """A row as ASCII: an object of JSON with sorted keys and without spaces. What JSON has no kind for is an object of
    one key, the kind, and a text."""
    return json.dumps(row, sort_keys=True, separators=(",", ":"), default=_tagged).encode("ascii")


def contents(connection: Connection, names: Iterable[str]) -> Contents:
    """Of these tables; those that do not exist have no rows."""
    present = {*inspect(connection).get_table_names()}
    sums = {}
    for name in names:
        sums[name] = _Sum()
        if name in present:
            for row in _rows(connection, _as_it_is(connection, name)):
                sums[name].add(row)
    return _contents(sums)


def of_the_hub(connection: Connection, also: Iterable[str] = ()) -> tuple[str, ...]:
    """The tables that are the hub's, sorted. An SQLite file is the hub's alone; a server's database may hold others,
    so there it is those that the hub's programs declare, and `also`."""
    present = {*inspect(connection).get_table_names()} - {MARKER}
    if connection.dialect.name != "sqlite":
        present &= {*Base.metadata.tables, "alembic_version", *also}
    return tuple(sorted(present))


def people(connection: Connection) -> frozenset[str]:
    """The names of all who have an account or have been here."""
    present = {*inspect(connection).get_table_names()}
    found: set[str] = set()
    for table, column in _PEOPLE:
        if table in present:
            found.update(connection.scalars(select(_as_it_is(connection, table).c[column])))
    return frozenset(found)


def copy(source: Connection, target: Connection, names: Sequence[str]) -> Contents:
    """Make these tables of `source` in `target`, in place of those of the same names, with all rows, and compare. The
    caller commits. Raises SettingsError when the copy is not the same."""
    tables = _like(source, names)
    _drop(target, names)
    tables.create_all(target)
    sums = {}
    for table in tables.sorted_tables:
        sums[table.name] = _Sum()
        plain = _as_it_is(target, table.name)
        for rows in _chunks(_rows(source, _as_it_is(source, table.name))):
            for row in rows:
                sums[table.name].add(row)
            target.execute(plain.insert(), rows)
        _count_on(target, table)
    wanted, found = _contents(sums), contents(target, names)
    if wanted != found:
        differing = [name for name in names if wanted.rows[name] != found.rows[name]] or list(names)
        raise SettingsError(f"the copy is not the same in {', '.join(differing)}")
    return found


def _contents(sums: Mapping[str, _Sum]) -> Contents:
    whole = "".join(f"{name} {one.text}\n" for name, one in sorted(sums.items()) if one.rows)
    return Contents(
        {name: one.rows for name, one in sums.items()}, hashlib.sha256(whole.encode()).hexdigest()
    )


def _rows(connection: Connection, table: Table) -> Iterator[dict[str, Any]]:
    for row in connection.execute(select(table)).mappings():
        yield dict(row)


def _chunks(rows: Iterable[dict[str, Any]]) -> Iterator[Sequence[dict[str, Any]]]:
    chunk: list[dict[str, Any]] = []
    for row in rows:
        chunk.append(row)
        if len(chunk) == _AT_ONCE:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _as_it_is(connection: Connection, name: str) -> Table:
    """The table with the columns that it has, for reading and writing what is stored, as it is stored."""
    columns = [
        Column(column["name"], _type(name, column["name"], column["type"]))
        for column in inspect(connection).get_columns(name)
    ]
    return Table(name, MetaData(), *columns)


def _type(table: str, column: str, reflected: TypeEngine[Any]) -> TypeEngine[Any]:
    declared = Base.metadata.tables.get(table)
    if declared is None or column not in declared.c:
        return reflected.as_generic()
    kind: TypeEngine[Any] = declared.c[column].type
    return kind.impl_instance if isinstance(kind, TypeDecorator) else kind


def _like(source: Connection, names: Iterable[str]) -> MetaData:
    """The tables as the hub's programs declare them; others, and other columns, as they are found."""
    made = MetaData()
    for name in names:
        declared = Base.metadata.tables.get(name)
        if declared is None:
            found = Table(name, MetaData(), autoload_with=source, resolve_fks=False)
            for column in found.columns:
                column.type = column.type.as_generic()
            found.to_metadata(made)
            continue
        table = declared.to_metadata(made)
        for column in _as_it_is(source, name).columns:
            if column.name not in table.c:
                table.append_column(Column(column.name, column.type))
    return made


def _drop(target: Connection, names: Iterable[str]) -> None:
    found = MetaData()
    found.reflect(target, only=lambda name, _: name in names, resolve_fks=False)
    found.drop_all(target)


def _count_on(target: Connection, table: Table) -> None:
    """Let a server that numbers rows by a sequence go on after those that were copied."""
    key = [*table.primary_key.columns]
    if target.dialect.name != "postgresql" or len(key) != 1 or not isinstance(key[0].type, Integer):
        return
    last = target.scalar(select(func.max(key[0])))
    if last is not None:
        quoted = target.dialect.identifier_preparer.quote(table.name)
        target.execute(_GO_ON, {"table": quoted, "column": key[0].name, "last": last})


def _tagged(value: object) -> dict[str, str]:
    match value:
        case bytes() | bytearray() | memoryview():
            return {"bytes": bytes(value).hex()}
        case datetime():
            moment = value.astimezone(UTC) if value.tzinfo else value
            return {"time": moment.isoformat(timespec="microseconds")}
        case date() | time():
            return {"time": value.isoformat()}
    return {type(value).__name__: str(value)}  # of tables that are not the hub's: Decimal, UUID, timedelta
