"""`hub.database` changed: what the hub knows goes along, whole or not at all, and nobody's account is lost."""

from __future__ import annotations

import datetime
import os
import re
import signal
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from browser import Browser
from conftest import ADMIN_PASSWORD, choose_first_password
from jupyterhub import orm
from nativeauthenticator.orm import UserInfo
from postgres import PASSWORD, Postgres, running_postgres
from running import ROOT, RunningHub, call, running_hub
from sqlalchemy import create_engine, text
from sqlalchemy.pool import NullPool

from hubagent.hub import moving
from hubagent.hub.database import database_url
from hubagent.hub.database_identity import read_record, record_file
from hubagent.hub.reading import SettingsError
from hubagent.hub.schema import bring_up_to_date
from hubagent.hub.settings import load_hub, load_secrets
from hubagent.hub.tables import MARKER
from tests.waiting import wait_until

EARLIER = Path(__file__).with_name("jupyterhub-5.2.1.sql")
USER_PASSWORD = "a rather long password"


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


class Starts:
    """What a start of the hub does with its database, without the hub."""

    def __init__(self, folder: Path) -> None:
        self.hub = RunningHub(folder)
        self.state = folder / "state"
        self.file = self.state / "jupyterhub.sqlite"

    def name(self, database: str) -> None:
        """Write it into hub.json."""
        self.hub.settings["database"] = database
        self.hub.secrets["database_password"] = None if database == "sqlite" else PASSWORD
        self.hub.write()

    def start(self, database: str) -> str:
        """The notice of the start."""
        self.name(database)
        settings, secrets = self._read()
        notice = moving.bring_over(settings, secrets, self.state)
        bring_up_to_date(self.url(database))
        moving.settle(settings, secrets, self.state)
        with self.session(database):
            return notice

    def rehearse(self, database: str) -> None:
        self.name(database)
        moving.rehearse(*self._read(), self.state)

    def url(self, database: str) -> str:
        return database_url(database, None if database == "sqlite" else PASSWORD, self.state)

    @contextmanager
    def session(self, database: str) -> Iterator[Any]:
        """JupyterHub's own, which makes the tables that there are not."""
        with orm.new_session_factory(self.url(database))() as session:
            yield session
        session.get_bind().dispose()

    def add(self, database: str, *names: str) -> None:
        with self.session(database) as session:
            for name in names:
                session.add(orm.User(name=name))
                session.add(UserInfo(username=name, password=b"$2b$" + name.encode(), is_authorized=True))
            session.commit()

    def people(self, database: str) -> list[str]:
        with self.session(database) as session:
            assert session.query(UserInfo).count() == session.query(orm.User).count()
            return sorted(user.name for user in session.query(orm.User))

    def set_aside(self) -> list[Path]:
        return sorted(self.state.glob("jupyterhub.sqlite.left-*"))

    def _read(self) -> tuple[Any, Any]:
        etc = self.hub.folder / "etc"
        return load_hub(etc / "hub.json"), load_secrets(etc / "secrets.json")


@pytest.fixture
def starts(tmp_path: Path) -> Starts:
    """A hub on SQLite, where ada and ben have accounts."""
    made = Starts(tmp_path / "hub")
    made.start("sqlite")
    made.add("sqlite", "ada", "ben")
    return made


@pytest.fixture
def empty(postgres: Postgres, request: pytest.FixtureRequest) -> str:
    return postgres.new(re.sub(r"\W", "-", request.node.name)[:60])


def _dump(url: str) -> dict[str, list[str]]:
    """Every table but the marker, each row as the database gives it, in words that SQLite and PostgreSQL share."""
    found = {}
    with create_engine(url, poolclass=NullPool).connect() as connection:
        names = connection.dialect.get_table_names(connection)
        for name in names:
            rows = connection.execute(text(f'SELECT * FROM "{name}"')).mappings().all()
            found[name] = sorted(
                repr(sorted((key, _word(value)) for key, value in row.items())) for row in rows
            )
    return {name: rows for name, rows in found.items() if name != MARKER}


def _word(value: object) -> object:
    if isinstance(value, bool):
        return int(value)
    return value.isoformat(" ", "microseconds") if isinstance(value, datetime.datetime) else value


def test_signed_in_people_notice_nothing_of_a_move_and_of_the_way_back(tmp_path: Path, empty: str) -> None:
    with running_hub(tmp_path / "hub") as hub:
        admin = choose_first_password(hub)
        Browser(hub.url).sign_up("ada", USER_PASSWORD)
        admin.submit(admin.open("/hub/authorize").form("authorize/ada"))
        ada = Browser(hub.url)
        ada.sign_in("ada", USER_PASSWORD)
        token = _token_of(hub, admin)

        hub.settings["database"], hub.secrets["database_password"] = empty, PASSWORD
        hub.restart_hub()
        assert ada.signed_in
        assert admin.signed_in
        assert call(f"{hub.url}/hub/api/user", token=token)[0] == 200
        assert Browser(hub.url).sign_in("ada", USER_PASSWORD).status == 200
        assert not (hub.folder / "state" / "one-time" / "admin").exists()
        assert re.search(r"Copied and compared: .*2 users, 2 users_info", hub.log)
        assert PASSWORD not in hub.log
        # Somebody new, whose number in the tables has to follow on those that were copied.
        Browser(hub.url).sign_up("later", USER_PASSWORD)
        admin.submit(admin.open("/hub/authorize").form("authorize/later"))
        assert Browser(hub.url).sign_in("later", USER_PASSWORD).status == 200

        hub.settings["database"], hub.secrets["database_password"] = "sqlite", None
        hub.restart_hub()
        assert ada.signed_in
        assert Browser(hub.url).sign_in("later", USER_PASSWORD).status == 200
        assert Browser(hub.url).sign_in("admin", ADMIN_PASSWORD).status == 200
        state = hub.folder / "state"
        assert stat.S_IMODE((state / "jupyterhub.sqlite").stat().st_mode) == 0o600
        (aside,) = state.glob("jupyterhub.sqlite.left-*")
        with closing(sqlite3.connect(aside)) as database:
            assert database.execute("SELECT name FROM users ORDER BY id").fetchall() == [("admin",), ("ada",)]


def _token_of(hub: RunningHub, browser: Browser) -> str:
    xsrf = browser.session.cookies.get("_xsrf", path="/hub/")
    answer = browser.session.post(
        f"{hub.url}/hub/api/users/admin/tokens?_xsrf={xsrf}", json={"note": "mine"}, timeout=60
    )
    assert answer.status_code == 201, answer.text
    return str(answer.json()["token"])


def test_every_table_arrives_as_it_was(starts: Starts, postgres: Postgres, empty: str) -> None:
    """Also tables and columns that only this server has, odd texts, and more rows than one statement takes."""
    now = datetime.datetime(2026, 2, 3, 4, 5, 6, 789, tzinfo=None)  # noqa: DTZ001 - as JupyterHub stores it
    with starts.session("sqlite") as session:
        users = [orm.User(name=f"user-{number}", admin=number % 2 == 0) for number in range(1203)]
        session.add_all(users)
        users[0].state = {"nested": [1, None, "ü 🎓 '\\ \n"]}
        users[0].encrypted_auth_state = bytes(range(256))
        users[0].last_activity = now
        group = orm.Group(name="physics", users=users[:3], properties={"limits": {"memory": 1}})
        role = orm.Role(name="tutor", description=None, scopes=["read:users!group=physics"])
        service = orm.Service(name="grader", url="http://127.0.0.1:1", info={"a": 1})
        client = orm.OAuthClient(identifier="client", secret="s", redirect_uri="/x", allowed_scopes=["self"])
        own = orm.OAuthClient(identifier="jupyterhub", secret="", redirect_uri="", allowed_scopes=[])
        session.add_all([group, role, service, client, own])
        session.flush()
        spawner = orm.Spawner(
            name="", user=users[0], state={"object_id": "x"}, started=now, oauth_client=client
        )
        spawner.server = orm.Server(proto="http", ip="127.0.0.1", port=8888, base_url="/user/user-0/")
        session.add(spawner)
        session.add(
            orm.OAuthCode(client_id="client", code="c", expires_at=2**31 - 1, user=users[0], scopes=[])
        )
        users[0].roles.append(role)
        service.roles.append(role)
        group.roles.append(role)
        session.flush()
        users[0].new_api_token("token-of-user-0", note="n", expires_in=3600)
        orm.Share.grant(session, spawner, users[1], scopes=["access:servers"])
        orm.ShareCode.new(session, spawner, scopes=["access:servers"])
        session.commit()
    with closing(sqlite3.connect(starts.file)) as database:
        database.executescript(
            "CREATE TABLE our_grades (id INTEGER PRIMARY KEY, who VARCHAR(40), points FLOAT, at DATETIME, raw BLOB);"
            "INSERT INTO our_grades VALUES (7, 'ada', 0.1, '2026-01-02 03:04:05.000006', x'00ff');"
            "ALTER TABLE users ADD COLUMN our_number INTEGER; UPDATE users SET our_number = 3 WHERE name = 'ada'"
        )
    before = _dump(starts.url("sqlite"))
    assert [table for table in orm.Base.metadata.tables if not before[table]] == []
    starts.rehearse(empty)
    assert _dump(starts.url(empty)) == {}
    starts.start(empty)
    assert _dump(starts.url(empty)) == before
    assert _dump(starts.url("sqlite")) == before
    other = postgres.new("every-table-again")
    starts.start(other)
    assert _dump(starts.url(other)) == before
    starts.start("sqlite")
    assert _dump(starts.url("sqlite")) == before


def test_a_database_with_accounts_of_its_own_is_refused_and_named(starts: Starts, empty: str) -> None:
    starts.name(empty)
    starts.add(empty, "ben", "eve")
    before = _dump(starts.url(empty)), _dump(starts.url("sqlite"))
    for attempt in (starts.rehearse, starts.start):
        with pytest.raises(SettingsError) as error:
            attempt(empty)
        assert "has 2 people already" in str(error.value)
        assert "where the hub has 2 people: 1 person would lose theirs" in str(error.value)
        assert PASSWORD not in str(error.value)
    assert (_dump(starts.url(empty)), _dump(starts.url("sqlite"))) == before
    assert starts.start("sqlite") == ""
    # As the message says.
    record_file(starts.state).unlink()
    starts.rehearse(empty)
    starts.start(empty)
    assert starts.people(empty) == ["ben", "eve"]
    assert _dump(starts.url("sqlite")) == before[1]


def test_a_copy_that_was_used_since_is_refused_one_that_was_not_is_renewed(
    starts: Starts, empty: str
) -> None:
    starts.start(empty)
    starts.start("sqlite")  # nothing came in between: what was there is taken as it is
    assert starts.set_aside() == []
    starts.add("sqlite", "cleo")
    starts.start(empty)
    assert starts.people(empty) == ["ada", "ben", "cleo"]
    starts.start("sqlite")
    with starts.session(empty) as session:  # behind the hub's back
        session.add(orm.User(name="behind"))
        session.commit()
    starts.add("sqlite", "dora")
    with pytest.raises(SettingsError, match="1 person would lose theirs"):
        starts.start(empty)
    assert starts.people("sqlite") == ["ada", "ben", "cleo", "dora"]


def test_the_same_database_by_another_name_is_no_move(starts: Starts, postgres: Postgres, empty: str) -> None:
    starts.start(empty)
    starts.add(empty, "cleo")
    again = (
        empty.replace("postgresql:", "postgres:").replace("127.0.0.1", "localhost") + "?application_name=hub"
    )
    starts.rehearse(again)
    assert starts.start(again) == ""
    assert starts.people(again) == ["ada", "ben", "cleo"]
    # A dump that somebody has put into another database is the same one, too.
    target = postgres.new("restored-by-hand")
    dump = subprocess.run(
        ["pg_dump", "--no-owner", "--dbname", empty],
        env={"PATH": os.defpath, "PGPASSWORD": PASSWORD},
        check=True,
        capture_output=True,
    )
    subprocess.run(
        ["psql", "-q", "-v", "ON_ERROR_STOP=1", target],
        input=dump.stdout,
        env={"PATH": os.defpath, "PGPASSWORD": PASSWORD},
        check=True,
        capture_output=True,
    )
    starts.rehearse(target)
    starts.start(target)
    assert starts.people(target) == ["ada", "ben", "cleo"]


def test_accounts_that_cannot_be_read_are_not_left_behind_unsaid(
    starts: Starts, postgres: Postgres, empty: str
) -> None:
    """The database they are in is gone: an edit is refused, a step that is taken back goes where the hub was before,
    and says what is missing there."""
    starts.start(empty)
    starts.add(empty, "cleo")
    other = postgres.new("while-gone")
    name = empty.rpartition("/")[2]
    postgres.run(f'alter database "{name}" rename to "{name}-gone"')
    for target in ("sqlite", other):
        with pytest.raises(
            SettingsError, match=r"the accounts are in postgresql.*cannot be read.*If it is lost"
        ):
            starts.rehearse(target)
    with pytest.raises(SettingsError, match="cannot be read"):
        starts.start(other)
    notice = starts.start("sqlite")
    assert re.search(
        rf"is as it was when the hub stopped using it at 20\S+; later data is in {empty}, which could", notice
    )
    assert starts.people("sqlite") == ["ada", "ben"]
    postgres.run(f'alter database "{name}-gone" rename to "{name}"')
    with pytest.raises(SettingsError, match="has 3 people already"):
        starts.rehearse(empty)


@pytest.mark.parametrize(
    ("to_file", "call_number"),
    [*((False, number) for number in range(3)), *((True, number) for number in range(7))],
    ids=lambda value: {False: "to a server", True: "to a file"}[value]
    if isinstance(value, bool)
    else str(value),
)
def test_killed_at_any_moment_nobody_is_lost(
    starts: Starts, empty: str, to_file: bool, call_number: int
) -> None:
    """Killed before the nth call of those that make something last: wherever the hub starts next, all are there."""
    source, target = ("sqlite", empty)
    if to_file:
        starts.start(empty)
        starts.add(empty, "cleo")
        source, target = empty, "sqlite"
    everybody = starts.people(source)
    starts.name(target)
    ended = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("killed_move.py")), str(call_number)],
        env={"PATH": os.defpath, "PYTHONPATH": str(ROOT), "FOLDER": str(starts.hub.folder)},
        timeout=120,
        check=False,
    )
    assert ended.returncode == -signal.SIGKILL, "there are so many such calls"
    if call_number % 2:  # taken back: the agent starts it with the settings before
        starts.start(source)
        assert starts.people(source) == everybody
    starts.rehearse(target)
    starts.start(target)
    assert starts.people(target) == everybody
    assert not list(starts.state.glob("*.copying*"))


def test_an_earlier_hubagents_accounts_go_along_too(starts: Starts, empty: str) -> None:
    """It kept no record: the packages and the file were changed before the hub was started again."""
    record_file(starts.state).unlink()
    with closing(sqlite3.connect(starts.file)) as database:
        database.execute(f"DROP TABLE {MARKER}")
    starts.rehearse(empty)
    starts.start(empty)
    assert starts.people(empty) == ["ada", "ben"]
    starts.add(empty, "cleo")
    starts.start("sqlite")
    assert starts.people("sqlite") == ["ada", "ben", "cleo"]


def test_an_earlier_schema_is_brought_up_to_date_on_the_way(starts: Starts, empty: str) -> None:
    for name in starts.state.glob("jupyterhub.sqlite*"):
        name.unlink()
    with closing(sqlite3.connect(starts.file)) as database:
        database.executescript(EARLIER.read_text())
    starts.rehearse(empty)
    starts.start(empty)
    with starts.session(empty) as session:
        assert [user.name for user in session.query(orm.User).order_by(orm.User.id)] == ["admin", "ada"]


def test_a_row_that_the_new_database_does_not_take_is_told_before_anything_changes(
    starts: Starts, empty: str
) -> None:
    with closing(sqlite3.connect(starts.file)) as database:
        database.execute("INSERT INTO user_group_map VALUES (999, 999)")
        database.commit()
    before = _dump(starts.url("sqlite"))
    for attempt in (starts.rehearse, starts.start):
        with pytest.raises(
            SettingsError, match=r"cannot be copied from sqlite .*user_group_map.*both are as they were"
        ):
            attempt(empty)
    assert _dump(starts.url("sqlite")) == before
    assert _dump(starts.url(empty)) == {}


def test_the_record_is_nobody_elses_and_may_be_damaged(starts: Starts, empty: str) -> None:
    starts.start(empty)
    file = record_file(starts.state)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert PASSWORD not in repr(read_record(starts.state))
    for damage in (b"", b"[]", b'{"identity": 1}', b"\xff"):
        file.write_bytes(damage)
        assert starts.start(empty) == ""
        assert starts.people(empty) == ["ada", "ben"]


def test_the_hub_is_refused_in_words_and_the_check_says_the_same(starts: Starts, empty: str) -> None:
    starts.name(empty)
    starts.add(empty, "eve")
    hub = starts.hub
    hub.write()
    checked = subprocess.run(
        [sys.executable, "-m", "hubagent.hub.check", str(hub.folder / "etc")],
        env={"PATH": os.defpath, "STATE_DIRECTORY": str(starts.state)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert checked.returncode == 1
    assert "2 people would lose theirs" in checked.stderr
    assert checked.stderr.count("\n") == 1
    assert hub.start_hub().wait(120) == 1
    assert f"jupyterhub: {checked.stderr.strip()}" in hub.log
    wait_until(lambda: not (hub.folder / "run" / "loaded").exists(), "no marker")
