"""Accounts that are not in the hub's own file: PostgreSQL as the hub's database, and Unix users by PAM."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import closing

import pytest

from tests.machine.client import Person
from tests.machine.hub import Hub, until

PASSWORD_FILE = "/etc/hub-database-password"
PASSWORD = "a pass@word/with%signs"
_MAKE = """
create role hub login password '{password}';
create database accounts owner hub;
"""


def _hub_section(config: str, lines: str) -> str:
    """The file with these lines at the top of `hub:`."""
    assert config.count("\nhub:\n") == 1
    return config.replace("\nhub:\n", f"\nhub:\n{lines}")


def _psql(hub: Hub, query: str, database: str = "accounts") -> list[str]:
    command = [
        "runuser",
        "-u",
        "postgres",
        "--",
        "psql",
        "-qtA",
        "-v",
        "ON_ERROR_STOP=1",
        "-c",
        query,
        database,
    ]
    return hub.machine.run(command).stdout.split()


def _without(config: str, *keys: str) -> str:
    return "".join(
        line for line in config.splitlines(keepends=True) if not re.match(rf"\s+({'|'.join(keys)}):", line)
    )


@pytest.fixture
def database(pristine: Hub) -> Iterator[Hub]:
    """A PostgreSQL server beside the hub, with an empty database for it."""
    machine = pristine.machine
    machine.apt_install("postgresql")
    for statement in filter(None, _MAKE.format(password=PASSWORD).strip().split("\n")):
        _psql(pristine, statement, "postgres")
    machine.write(PASSWORD_FILE, PASSWORD)
    machine.run(["chmod", "600", PASSWORD_FILE])
    shipped = pristine.config()
    yield pristine
    pristine.edit(shipped)
    assert pristine.apply("--allow-disruption")[1]["result"] in ("ok", "noop")
    machine.run(["systemctl", "stop", "postgresql"])


@pytest.mark.slow
def test_the_hub_works_on_postgresql_and_refuses_a_wrong_password(database: Hub) -> None:
    machine = database.machine
    before = database.config()
    shipped = _without(before, "database", "signup")
    lines = f"  signup: open\n  database: postgresql://hub@127.0.0.1/accounts\n  database_password_file: {PASSWORD_FILE}\n"
    database.edit(_hub_section(shipped, lines))
    _, status = database.apply()
    assert status["result"] == "ok", status["problems"]
    until(lambda: database.get("/hub/login")[0] == 200, 60.0, "the login page")
    person = Person(database, "petra")
    assert "Your account is ready" in person.sign_up().text
    person.log_in()
    assert _psql(database, "select name from users order by name") == ["admin", "petra"]

    hub, generation = database.main_pid("jupyterhub"), status["generation"]
    machine.write(PASSWORD_FILE, "another")
    _, status = database.apply()
    assert (status["result"], status["generation"]) == ("rejected", generation)
    message = next(one["message"] for one in status["problems"] if one["reason"] == "preflight")
    assert 'password authentication failed for user "hub"' in message
    assert "check hub.database, hub.database_password_file" in message
    assert "another" not in message
    assert database.main_pid("jupyterhub") == hub
    assert person.servers() == {}
    machine.write(PASSWORD_FILE, PASSWORD)
    assert database.apply()[1]["result"] in ("ok", "noop")

    _psql(database, "create role guest login password 'guest'")
    machine.write(PASSWORD_FILE, "guest")
    database.edit(_hub_section(shipped, lines.replace("hub@", "guest@")))
    _, status = database.apply()
    assert status["result"] == "rejected"
    assert "guest may not create tables in accounts" in str(status["problems"])
    assert database.main_pid("jupyterhub") == hub
    person.close()

    machine.write(PASSWORD_FILE, PASSWORD)
    database.edit(before)
    _, status = database.apply()
    assert status["result"] == "ok", status["problems"]
    until(lambda: database.get("/hub/login")[0] == 200, 60.0, "the login page")
    with closing(Person(database, "petra")) as again:
        again.log_in()  # who was added on the other database has come along


@pytest.fixture
def unix_user(pristine: Hub) -> Iterator[Person]:
    """Somebody with a password in /etc/shadow, and a hub that asks PAM."""
    machine = pristine.machine
    person = Person(pristine, "unixy")
    machine.run(["useradd", person.name])
    machine.run(["chpasswd"], input=f"{person.name}:{person.password}\n")
    pristine.edit(
        pristine.config()
        .replace("authenticator: native", "authenticator: pam")
        .replace("signup: approval", "signup: open")
    )
    assert pristine.apply()[1]["result"] in ("ok", "noop")
    until(lambda: pristine.get("/hub/login")[0] == 200, 60.0, "the login page")
    yield person
    person.close()
    machine.run(["userdel", "--remove", person.name], check=False)


def test_unix_passwords_cannot_be_checked_and_check_says_so(pristine: Hub, unix_user: Person) -> None:
    """The hub starts, asks PAM, and is refused like everybody who is not root."""
    said = pristine.machine.run(["hubagent", "check"]).stderr
    assert "hub.authenticator: the hub does not run as root" in said
    assert "use accounts of the hub (authenticator: native)" in said
    right = unix_user.submit("/hub/login", username=unix_user.name, password=unix_user.password)
    assert right.status_code == 403
    assert "PAM Authentication failed" in pristine.machine.journal("jupyterhub")
