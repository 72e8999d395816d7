"""The database's schema: an earlier JupyterHub's is brought up to date, whole or not at all; a later one's is refused."""

from __future__ import annotations

import os
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest
from conftest import choose_first_password
from running import RunningHub

from hubagent.hub.schema import copies
from tests.waiting import wait_until

EARLIER = Path(__file__).with_name("jupyterhub-5.2.1.sql")
EARLIER_REVISION = "4621fec11365"
LATER_REVISION = "ffffffffffff"

_UPGRADE = "import sys; from hubagent.hub.schema import bring_up_to_date; bring_up_to_date(sys.argv[1])"


def _read(file: Path, query: str) -> list[tuple[object, ...]]:
    with closing(sqlite3.connect(file)) as database:
        return database.execute(query).fetchall()


def _write(file: Path, script: str) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.executescript(script)


def _dump(file: Path) -> str:
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        return "\n".join(database.iterdump())


def _revision(file: Path) -> str:
    return str(_read(file, "SELECT version_num FROM alembic_version")[0][0])


def _log(file: Path) -> set[str]:
    """What SQLite keeps beside it while it is open, and after a hub that ended without closing it."""
    return {f"{file.name}{ending}" for ending in ("-wal", "-shm")}


def _beside(file: Path) -> set[str]:
    """The database and its copies."""
    return {path.name for path in file.parent.iterdir() if path.name.startswith(file.name)} - _log(file)


@pytest.fixture
def earlier(tmp_path: Path) -> Path:
    """The database as an earlier JupyterHub left it, in the mode in which the hub writes."""
    file = tmp_path / "hub" / "state" / "jupyterhub.sqlite"
    RunningHub(tmp_path / "hub")
    _write(file, f"PRAGMA journal_mode=WAL; {EARLIER.read_text()}")
    return file


def _hub_of(file: Path) -> RunningHub:
    folder = file.parent.parent
    for name in ("etc", "state", "run"):
        (folder / name).rename(folder / f"{name}.of-test")
    hub = RunningHub(folder)
    for name in ("etc", "state", "run"):
        (folder / name).rmdir()
        (folder / f"{name}.of-test").rename(folder / name)
    return hub


def test_an_earlier_database_is_kept_and_brought_up_to_date_once(earlier: Path) -> None:
    before = _dump(earlier)
    hub = _hub_of(earlier)
    try:
        hub.start()
        choose_first_password(hub)
        assert _read(earlier, "SELECT name FROM users ORDER BY id") == [("admin",), ("ada",)]
        assert _revision(earlier) != EARLIER_REVISION
        assert _read(earlier, "PRAGMA journal_mode") == [("wal",)]
        (kept,) = copies(earlier)
        assert _dump(kept) == before
        assert stat.S_IMODE(kept.stat().st_mode) == 0o600
        assert f"is kept as {kept}" in hub.log
        hub.restart_hub()
        assert copies(earlier) == (kept,)
        assert _read(earlier, "SELECT display_name FROM spawners WHERE user_id = 2") == [(None,)]
    finally:
        hub.stop()
    assert _beside(earlier) == {earlier.name, kept.name}


def test_a_later_database_is_refused_in_words_until_the_copy_is_put_back(earlier: Path) -> None:
    """As after going back to older packages: nothing is changed or copied, however often the hub is started."""
    assert _upgrade(earlier).wait(60) == 0
    hub = _hub_of(earlier)
    try:
        (kept,) = copies(earlier)
        _write(earlier, f"UPDATE alembic_version SET version_num = '{LATER_REVISION}'")
        before, files = earlier.read_bytes(), _beside(earlier)
        for _ in range(2):
            assert hub.start_hub().wait(60) == 1
        said = [line for line in hub.log.splitlines() if line.startswith("jupyterhub: hub.database:")]
        assert len(said) == 2
        assert f"(schema {LATER_REVISION})" in said[0]
        assert f"put back the copy from before the upgrade ({kept})" in said[0]
        assert "Traceback" not in hub.log
        assert (earlier.read_bytes(), _beside(earlier)) == (before, files)
        for name in _log(earlier):  # of the later one: never beside another
            earlier.with_name(name).unlink(missing_ok=True)
        kept.rename(earlier)
        hub.start()
        assert ("ada",) in _read(earlier, "SELECT name FROM users")
    finally:
        hub.stop()


def test_the_check_refuses_a_later_database(earlier: Path) -> None:
    """Before a hub that runs is ended for one that would not; also with nobody who has the database open."""
    hub = _hub_of(earlier)
    hub.write()
    assert _check(hub).returncode == 0  # an earlier one is for the hub itself to change
    assert _revision(earlier) == EARLIER_REVISION
    with closing(sqlite3.connect(earlier)) as live:
        live.execute(f"UPDATE alembic_version SET version_num = '{LATER_REVISION}'")
        live.commit()
        results = [_check(hub)]
    results.append(_check(hub))
    for result in results:
        assert result.returncode == 1
        assert f"(schema {LATER_REVISION})" in result.stderr
        assert result.stderr.count("\n") == 1


def _check(hub: RunningHub) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "hubagent.hub.check", str(hub.folder / "etc")]
    environment = {"PATH": os.defpath, "STATE_DIRECTORY": str(hub.folder / "state")}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def test_a_migration_that_fails_leaves_everything_as_it_was(earlier: Path) -> None:
    """Here it fails in the second of two: the first is not left behind."""
    _write(earlier, "ALTER TABLE spawners ADD COLUMN display_name VARCHAR")
    before = _dump(earlier)
    hub = _hub_of(earlier)
    assert hub.start_hub().wait(60) == 1
    assert hub.log.count("duplicate column name: display_name; the database is as it was") == 1
    assert "Traceback" not in hub.log
    assert _dump(earlier) == before
    assert _beside(earlier) == {earlier.name}


@pytest.mark.parametrize("moment", ["keeping", "upgrading", "kept"])
def test_killed_at_any_moment_it_is_the_old_or_the_new_one(earlier: Path, moment: str) -> None:
    people = _read(earlier, "SELECT id, name, cookie_id FROM users")
    process = _upgrade(earlier)
    try:
        wait_until(lambda: _has_come(moment, earlier) or process.poll() is not None, moment)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait(20)
    assert _read(earlier, "SELECT id, name, cookie_id FROM users") == people
    columns = _columns(earlier, "spawners")
    assert ("display_name" in columns) == (_revision(earlier) != EARLIER_REVISION)
    assert _upgrade(earlier).wait(60) == 0
    assert "display_name" in _columns(earlier, "spawners")
    assert _read(earlier, "SELECT id, name, cookie_id FROM users") == people
    assert _beside(earlier) == {earlier.name, *(kept.name for kept in copies(earlier))}
    assert all(_revision(kept) == EARLIER_REVISION for kept in copies(earlier))
    assert copies(earlier)


def _upgrade(file: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", _UPGRADE, f"sqlite:///{file}"], stderr=subprocess.DEVNULL)


def _has_come(moment: str, file: Path) -> bool:
    return bool(copies(file)) if moment == "kept" else file.with_name(f"{file.name}.{moment}").exists()


def _columns(file: Path, table: str) -> Iterable[object]:
    return [row[1] for row in _read(file, f"PRAGMA table_info({table})")]
