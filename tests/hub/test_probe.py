"""A sign-in that only shows that signing in works, and what the agent is told of the database."""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from browser import Browser
from conftest import choose_first_password
from running import RunningHub, call, running_hub

from hubagent.hub.quiet import Quiet
from hubagent.hub.sign_in_probe import NAME
from tests.waiting import wait_until


def _grant(hub: RunningHub) -> dict[str, str]:
    url, token = f"{hub.hub_url}/hub/api/hubagent/probe", hub.secrets["agent_token"]
    status, body = call(url, method="POST", token=token)
    assert status == 200
    granted = json.loads(body)
    assert isinstance(granted, dict)
    return granted


def _end(hub: RunningHub) -> None:
    url, token = f"{hub.hub_url}/hub/api/hubagent/probe", hub.secrets["agent_token"]
    assert call(url, method="DELETE", token=token)[0] == 204


def _health(hub: RunningHub) -> dict[str, Any]:
    url, token = f"{hub.hub_url}/hub/api/hubagent/health", hub.secrets["agent_token"]
    status, body = call(url, token=token, timeout_s=30.0)
    assert status == 200
    health = json.loads(body)
    assert isinstance(health, dict)
    return health


def _names(hub: RunningHub) -> set[str]:
    """Everybody in the hub's list of users."""
    status, body = call(f"{hub.hub_url}/hub/api/users", token=hub.secrets["agent_token"])
    assert status == 200
    return {user["name"] for user in json.loads(body)}


def _users(hub: RunningHub) -> float:
    _, body = call(f"{hub.hub_url}/hub/metrics", token=hub.secrets["agent_token"])
    lines = body.decode().splitlines()
    return float(next(line for line in lines if line.startswith("jupyterhub_total_users ")).split()[1])


def _rows(hub: RunningHub) -> list[str]:
    with closing(sqlite3.connect(hub.folder / "state" / "jupyterhub.sqlite")) as database:
        return [name for (name,) in database.execute("select name from users")]


@pytest.fixture(scope="module")
def admin(hub: RunningHub) -> Browser:
    return choose_first_password(hub)


def test_a_probe_signs_in_sees_its_home_and_leaves_nothing(hub: RunningHub, admin: Browser) -> None:
    names, users, begun = _names(hub), _users(hub), len(hub.log)
    granted = _grant(hub)
    probe = Browser(hub.url)
    page = probe.sign_in(granted["username"], granted["password"])
    assert (page.status, page.path) == (200, "hub/home")
    # While it is there, it is in no list, on no page and in no figure.
    assert NAME in _rows(hub)
    assert (_names(hub), _users(hub)) == (names, users)
    assert NAME not in admin.open("/hub/authorize").html
    assert probe.open("/hub/admin").status == 403
    _end(hub)
    assert not probe.signed_in
    assert NAME not in _rows(hub)
    assert (_names(hub), _users(hub)) == (names, users)
    assert f"User logged in: {NAME}" not in hub.log[begun:]
    assert granted["password"] not in hub.log


@pytest.mark.parametrize(
    ("line", "is_shown"),
    [
        ("200 GET /hub/login?from=hubagent (@127.0.0.1) 5.00ms", False),
        ("303 POST /hub/login?from=hubagent -> /hub/home (hubagent probe@127.0.0.1) 5.00ms", False),
        ("200 GET /hub/api/hubagent/health (@172.18.0.1) 5.00ms", False),
        ("200 GET /hub/login?from=hubagent (@192.0.2.7) 5.00ms", True),
        ("200 GET /hub/login?next=/from=hubagent (@127.0.0.1) 5.00ms", True),
        ("403 POST /hub/login?from=hubagent (@127.0.0.1) 5.00ms", True),
        ("200 GET /hub/home (ada@127.0.0.1) 5.00ms", True),
    ],
)
def test_the_log_is_for_peoples_requests(line: str, *, is_shown: bool) -> None:
    record = logging.LogRecord("tornado.access", logging.INFO, "", 0, line, (), None)
    assert Quiet().filter(record) == is_shown


@pytest.mark.parametrize("guess", ["", "guess", "x" * 5000])
def test_a_password_is_good_for_one_try(hub: RunningHub, guess: str) -> None:
    granted = _grant(hub)
    probe = Browser(hub.url)
    assert probe.sign_in(NAME, guess).status == 403
    assert probe.sign_in(NAME, granted["password"]).status == 403
    _end(hub)
    assert NAME not in _rows(hub)


def test_a_new_grant_ends_the_one_before(hub: RunningHub) -> None:
    first, second = _grant(hub), _grant(hub)
    probe = Browser(hub.url)
    assert probe.sign_in(NAME, second["password"]).path == "hub/home"
    assert Browser(hub.url).sign_in(NAME, first["password"]).status == 403
    third = _grant(hub)
    assert not probe.signed_in
    assert third["password"] not in (first["password"], second["password"])
    _end(hub)


def test_failed_tries_are_not_counted_and_the_name_is_nobodys(hub: RunningHub, admin: Browser) -> None:
    for _ in range(12):  # more than lock a name
        assert Browser(hub.url).sign_in(NAME, "guess guess guess").status == 403
    granted = _grant(hub)
    assert Browser(hub.url).sign_in(NAME, granted["password"]).path == "hub/home"
    _end(hub)
    assert Browser(hub.url).sign_up(NAME, "a rather long password").status == 400
    token = {"X-XSRFToken": admin.session.cookies.get("_xsrf", path="/hub/")}
    made = admin.session.post(f"{hub.url}/hub/api/users/hubagent%20probe", headers=token, timeout=60)
    assert made.status_code == 400


@pytest.mark.parametrize("what", ["probe", "health"])
@pytest.mark.parametrize("token", [None, "", "x" * 64, "reader-token-reader-token", "é"])
def test_only_the_agent_may_ask(hub: RunningHub, what: str, token: str | None) -> None:
    url = f"{hub.hub_url}/hub/api/hubagent/{what}"
    headers = {} if token is None else {"Authorization": f"token {token}".encode()}
    for method in ("GET", "POST", "DELETE"):
        assert requests.request(method, url, headers=headers, timeout=60).status_code == 403


def test_a_probe_that_was_left_is_gone_after_the_hubs_next_start(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub") as hub:
        granted = _grant(hub)
        assert Browser(hub.url).sign_in(NAME, granted["password"]).path == "hub/home"
        assert NAME in _rows(hub)
        os.kill(hub.hub_pid, 9)
        hub.restart_hub()
        assert NAME not in _rows(hub)
        assert _users(hub) == 1


def test_where_accounts_are_not_ours_there_is_no_probe(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", authenticator="dummy") as hub:
        url, token = f"{hub.hub_url}/hub/api/hubagent/probe", hub.secrets["agent_token"]
        assert call(url, method="POST", token=token)[0] == 404
        assert _health(hub) == {"database": "", "error": ""}


# The database


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("begin exclusive")
        yield
        other.execute("rollback")


@pytest.fixture
def own(tmp_path: Path) -> Iterator[tuple[RunningHub, Path]]:
    with running_hub(tmp_path / "hub") as hub:
        assert _health(hub)["database"] == ""
        yield hub, hub.folder / "state" / "jupyterhub.sqlite"


def test_a_database_that_cannot_be_used_is_said_until_it_can(own: tuple[RunningHub, Path]) -> None:
    hub, path = own
    with _locked(path):
        assert "locked" in _health(hub)["database"]
    wait_until(lambda: _health(hub)["database"] == "", "the lock to be gone")
    aside = path.with_name("aside")
    path.rename(aside)
    assert "was removed" in _health(hub)["database"]
    path.write_bytes(aside.read_bytes())
    assert "was replaced" in _health(hub)["database"]
    aside.rename(path)
    assert _health(hub)["database"] == ""


def test_a_damaged_database_is_said_in_its_own_words(own: tuple[RunningHub, Path]) -> None:
    hub, path = own
    with path.open("r+b") as file:
        file.write(b"\0" * 4096)
    path.with_name(f"{path.name}-wal").write_bytes(b"")
    said = _health(hub)["database"]
    assert "not a database" in said or "malformed" in said


def test_the_hubs_last_error_is_told(own: tuple[RunningHub, Path]) -> None:
    hub, path = own
    with closing(sqlite3.connect(path)) as database:
        database.execute("drop table user_role_map")
    granted = _grant(hub)
    assert Browser(hub.url).sign_in(NAME, granted["password"]).status == 503
    error = _health(hub)["error"]
    assert "user_role_map" in error
    assert "\n" not in error
    assert granted["password"] not in error
