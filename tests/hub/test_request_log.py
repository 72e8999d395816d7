"""What the hub's log says of requests that fail: enough to find the reason, and no secret."""

from __future__ import annotations

import json
import logging
import re
import sqlite3
from contextlib import closing

import pytest
import requests
from browser import Browser
from running import RunningHub

from hubagent import request_log
from tests.waiting import wait_until

SECRETS = {
    "Authorization": "token {agent}",
    "Cookie": "jupyterhub-session-id=cookie-4711",
    "X-Xsrftoken": "xsrf-4711",
    "X-Forwarded-Access-Token": "forwarded-4711",
    "Proxy-Authorization": "Basic proxy-4711",
    "X-Api-Key": "key-4711",
}
OVERFLOW = "9" * 30
"""A number that the database's driver cannot take, which is a fault of JupyterHub's: an exception, and 500."""


def test_a_request_that_fails_is_logged_without_its_secrets(hub: RunningHub) -> None:
    token = hub.secrets["agent_token"]
    headers = {name: value.format(agent=token) for name, value in SECRETS.items()}
    answer = requests.get(
        f"{hub.url}/hub/api/users",
        params={"offset": OVERFLOW, "token": "parameter-4711"},
        headers={
            **headers,
            "User-Agent": "a-browser",
            "Referer": f"{hub.url}/hub/home?code=referer-4711&page=7",
        },
        timeout=60,
    )
    assert answer.status_code == 500
    wait_until(lambda: " 500 GET /hub/api/users" in hub.log, "the line of the request")
    log = hub.log
    assert "Uncaught exception GET /hub/api/users" in log
    assert "OverflowError" in log, "the reason is there"
    assert '"User-Agent": "a-browser"' in log, "and what asked"
    assert "/hub/home?code=[secret]&page=7" in log
    assert set(SECRETS) <= set(re.findall(r'"([\w-]+)": "\[secret\]"', log))
    assert re.findall(r"\S*4711\S*", log) == []
    assert token not in log


def test_a_database_that_fails_is_logged_without_what_was_to_be_written(hub: RunningHub) -> None:
    with closing(sqlite3.connect(hub.folder / "state" / "jupyterhub.sqlite")) as database, database:
        database.execute(
            "create trigger refuse before insert on users_info begin select raise(abort, 'refused here'); end"
        )
    assert (
        Browser(hub.url).sign_up("somebody", "correct horse battery", email="4711@example.org").status == 500
    )
    wait_until(lambda: " 500 POST /hub/signup" in hub.log, "the line of the request")
    assert "refused here" in hub.log
    assert re.findall(r"4711@|\$2b\$", hub.log) == [], "no e-mail address, no hash of a password"


@pytest.mark.parametrize(
    "text", ["", "{", "{}", "{not json", '{"a": ' * 100_000, "200 GET /a?b=c (x@1) 1ms", "100% {}"]
)
def test_whatever_else_is_logged_stays_as_it_is(text: str) -> None:
    assert request_log.hide(text) == text


def test_numbers_of_a_record_are_put_in_before_it_is_looked_at() -> None:
    record = logging.LogRecord("tornado.access", logging.INFO, __file__, 1, "%s %d", ("/?token=abc", 5), None)
    assert request_log.HideSecrets().filter(record)
    assert record.getMessage() == "/?token=[secret] 5"
    assert json.loads(request_log.hide('{"Host": "a", "New-Header": "b"}')) == {
        "Host": "a",
        "New-Header": "[secret]",
    }
