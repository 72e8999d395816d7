"""The hub's database copied while others write: `SqliteDatabases` with real SQLite."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from hubagent.adapters.files.sqlite import SqliteDatabases
from hubagent.errors import StorageError
from tests.waiting import wait_until

DATABASES = SqliteDatabases()

# Moves money to and fro, one transaction at a time, as the hub does: the sum never changes.
_WRITER = """
import random, sqlite3, sys
database = sqlite3.connect(sys.argv[1], timeout=60, isolation_level=None)
database.execute("PRAGMA journal_mode=WAL")
database.execute("PRAGMA synchronous=NORMAL")
while True:
    one, other = random.sample(range(500), 2)
    database.execute("BEGIN IMMEDIATE")
    database.execute("UPDATE accounts SET money = money - 1 WHERE id = ?", [one])
    database.execute("UPDATE accounts SET money = money + 1 WHERE id = ?", [other])
    database.execute("INSERT INTO log (what) VALUES (?)", ["x" * 500])
    database.execute("COMMIT")
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A database as the hub has it, of the user daemon."""
    file = tmp_path / "jupyterhub.sqlite"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("PRAGMA journal_mode=WAL")
        database.execute("CREATE TABLE accounts (id INTEGER PRIMARY KEY, money INTEGER)")
        database.execute("CREATE TABLE log (id INTEGER PRIMARY KEY, what TEXT)")
        database.executemany("INSERT INTO accounts VALUES (?, 100)", [(number,) for number in range(500)])
        database.execute("CREATE TABLE users (name TEXT, last_activity DATETIME)")
        database.execute("CREATE TABLE users_info (username TEXT, password BLOB)")
        database.executemany(
            "INSERT INTO users VALUES (?, ?)", [("admin", None), ("bob", "2026-01-01"), ("ada", None)]
        )
        database.executemany(
            "INSERT INTO users_info VALUES (?, ?)",
            [("admin", b"one-time:$2b$x"), ("ada", b"$2b$x"), ("eve", b"$2b$y")],
        )
    os.chown(file, 1, 1)
    return file


@contextmanager
def _writers(file: Path, count: int) -> Iterator[None]:
    running = [subprocess.Popen([sys.executable, "-c", _WRITER, str(file)]) for _ in range(count)]
    try:
        before = _logged(file)
        wait_until(lambda: _logged(file) > before, "the writers to write")
        yield
        assert [one.poll() for one in running] == [None] * count, "no writer failed"
    finally:
        for one in running:
            one.kill()
            one.wait()


def _logged(file: Path) -> int:
    with closing(sqlite3.connect(file, timeout=60.0)) as database:
        return int(database.execute("SELECT count(*) FROM log").fetchone()[0])


def _read(file: Path, query: str) -> object:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(query).fetchone()[0]


def test_a_copy_is_one_moment_while_others_write(file: Path, tmp_path: Path) -> None:
    with _writers(file, 2):
        logged = [0]
        for number in range(10):
            copy = tmp_path / f"copy-{number}"
            assert DATABASES.snapshot(file, copy)
            assert _read(copy, "PRAGMA integrity_check") == "ok"
            assert _read(copy, "SELECT sum(money) FROM accounts") == 50_000
            logged.append(int(str(_read(copy, "SELECT count(*) FROM log"))))
            assert sorted(path.name for path in tmp_path.glob("copy-*")) == [
                f"copy-{made}" for made in range(number + 1)
            ], "one file, whole by itself"
        assert logged == sorted(logged)
        assert logged[-1] > logged[1], "they did write meanwhile"


def test_a_copy_of_a_database_at_rest_leaves_it_to_its_owner(file: Path, tmp_path: Path) -> None:
    assert DATABASES.snapshot(file, tmp_path / "copy")
    assert DATABASES.people(file) == ("ada", "bob", "eve")
    beside = [path for path in tmp_path.iterdir() if path.name.startswith("jupyterhub.sqlite")]
    assert {(path.stat().st_uid, path.stat().st_gid) for path in beside} == {(1, 1)}
    assert stat.S_IMODE((tmp_path / "copy").stat().st_mode) == 0o600


def test_names_are_those_of_all_users(file: Path) -> None:
    assert DATABASES.names(file) == ("ada", "admin", "bob")


def test_a_hub_that_nobody_has_come_to_has_no_people(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DELETE FROM users WHERE name != 'admin'")
        database.execute("DELETE FROM users_info WHERE username != 'admin'")
    assert DATABASES.people(file) == ()


def test_another_authenticator_has_no_accounts_of_its_own(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("DROP TABLE users_info")
    assert DATABASES.people(file) == ("bob",)


def test_no_database_is_no_error(tmp_path: Path) -> None:
    absent = tmp_path / "absent"
    assert not DATABASES.snapshot(absent, tmp_path / "copy")
    assert DATABASES.people(absent) == ()
    DATABASES.settle(absent)
    assert list(tmp_path.iterdir()) == []


def test_what_is_no_database_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "broken").write_bytes(b"no database, but long enough to be read as one" * 100)
    with pytest.raises(StorageError, match="broken: the hub's database cannot be read"):
        DATABASES.snapshot(tmp_path / "broken", tmp_path / "copy")
    DATABASES.settle(tmp_path / "broken")


def test_a_settled_database_is_one_file(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("INSERT INTO log (what) VALUES ('late')")
        database.commit()
        os.link(f"{file}-wal", f"{file}.log")  # as a hub that was killed leaves it
    os.rename(f"{file}.log", f"{file}-wal")
    DATABASES.settle(file)
    left = Path(f"{file}-wal")
    assert not left.exists() or left.stat().st_size == 0
    assert _read(file, "SELECT count(*) FROM log WHERE what = 'late'") == 1
