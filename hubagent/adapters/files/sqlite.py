"""`backup.ports.Databases`: the hub's SQLite database, also while the hub writes to it."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final
from urllib.parse import quote

from hubagent.errors import StorageError

_PATIENCE_S: Final = 30.0

_OWN_PASSWORD: Final = (
    # Passwords that the hub made up begin with passwords.ONE_TIME; whoever has another one chose it.
    "users_info",
    "SELECT username FROM users_info WHERE substr(CAST(password AS TEXT), 1, 9) != 'one-time:'",
)
_PEOPLE: Final = (("users", "SELECT name FROM users WHERE last_activity IS NOT NULL"), _OWN_PASSWORD)


class SqliteDatabases:
    """See `backup.ports.Databases`."""

    def snapshot(self, source: Path, target: Path) -> bool:
        if not source.exists():
            return False
        with _told(source), closing(_open(source)) as live:
            descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            os.close(descriptor)
            with closing(sqlite3.connect(target, timeout=_PATIENCE_S)) as copy:
                live.backup(
                    copy, pages=-1
                )  # in one step: a reader sees one state, and keeps no writer waiting
                copy.execute("PRAGMA journal_mode=DELETE")  # one file, whole by itself
        return True

    def names(self, file: Path) -> tuple[str, ...]:
        with _told(file), closing(_open(file)) as database:
            return _column(database, (("users", "SELECT name FROM users"),))

    def people(self, file: Path) -> tuple[str, ...]:
        if not file.exists():
            return ()
        with _told(file), closing(_open(file)) as database:
            return _column(database, _PEOPLE)

    def with_own_password(self, file: Path) -> tuple[str, ...]:
        """Names of those whose password is one that they chose, sorted; nobody when there is no database."""
        if not file.exists():
            return ()
        with _told(file), closing(_open(file)) as database:
            return _column(database, (_OWN_PASSWORD,))

    def settle(self, file: Path) -> None:
        if not file.exists():
            return
        try:
            with closing(sqlite3.connect(file, timeout=_PATIENCE_S)) as database:
                database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        except sqlite3.Error:  # a damaged one is moved aside as it is, with its log beside it
            return


def _open(file: Path) -> sqlite3.Connection:
    """For reading. SQLite gives what it has to make beside the database to the database's owner."""
    return sqlite3.connect(f"file:{quote(str(file))}?mode=ro", uri=True, timeout=_PATIENCE_S)


def _column(database: sqlite3.Connection, queries: tuple[tuple[str, str], ...]) -> tuple[str, ...]:
    tables = {str(row[0]) for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    found = {str(row[0]) for table, query in queries if table in tables for row in database.execute(query)}
    return tuple(sorted(found))


@contextmanager
def _told(file: Path) -> Iterator[None]:
    try:
        yield
    except (sqlite3.Error, OSError) as error:
        raise StorageError(
            f"{file}: the hub's database cannot be read: {error}; see journalctl -u jupyterhub"
        ) from error
