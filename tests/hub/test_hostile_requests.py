"""No answer 5xx is ours: where our hub fails at a hostile request, JupyterHub without any code of ours fails, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from conftest import choose_first_password
from hostile_requests import TEXTS, Hostile, hostile_requests, percent_encoded
from running import CONFIG, RunningHub, call
from tester import TOKEN, faults, running

BARE = Path(__file__).with_name("bare_config.py")
SEED, COUNT = 1, 250


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running(tmp_path_factory.mktemp("ours"), "hubagent.hub.application", CONFIG) as hub:
        yield hub


@pytest.fixture(scope="module")
def bare(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running(tmp_path_factory.mktemp("bare"), "jupyterhub", BARE) as hub:
        yield hub


@pytest.fixture(scope="module")
def admin(ours: RunningHub) -> Browser:
    return choose_first_password(ours)


def test_nothing_hostile_fails_here_alone(ours: RunningHub, bare: RunningHub) -> None:
    failed: list[tuple[int, int, Hostile]] = []
    begun, pid = len(ours.log), ours.hub_pid
    for number, request in enumerate(hostile_requests(SEED, COUNT)):
        for hub in (ours, bare):  # some need a user, a group or a named server that earlier ones deleted
            if number % 50 == 0:
                for path in ("users/ada", "groups/ada"):
                    call(f"{hub.url}/hub/api/{path}", method="POST", token=TOKEN, timeout_s=60)
        status = request.send(ours.url, TOKEN)
        reference = request.send(bare.url, TOKEN)
        if (status >= 500 or status == 0) and 0 < reference < 500:
            failed.append((status, reference, request))
    assert not failed
    assert not faults(ours.log[begun:])
    assert (ours.hub_pid, call(f"{ours.url}/hub/health")[0]) == (pid, 200)


@pytest.mark.parametrize("text", TEXTS, ids=lambda text: ascii(text)[:20])
def test_our_pages_take_anything(ours: RunningHub, admin: Browser, text: str) -> None:
    """As a name, a password and an e-mail address; in a path, a form and a cookie."""
    begun = len(ours.log)
    value = percent_encoded(text)
    stranger = Browser(ours.url)
    statuses = []
    for path in ("login", "signup"):
        form = stranger.open(f"/hub/{path}").form(f"/hub/{path}")
        fields = {
            **dict.fromkeys(form.fields, value),
            "username": value,
            "password": value,
            "password_again": value,
        }
        fields["_xsrf"] = form.fields.get("_xsrf", "")
        body = "&".join(f"{name}={field}" for name, field in fields.items())
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        statuses.append(
            stranger.session.post(form.action, data=body, headers=headers, timeout=60).status_code
        )
        statuses.append(stranger.session.get(f"{ours.url}/hub/{path}?next={value}", timeout=60).status_code)
    for action in ("authorize", "discard", "withdraw", "change-password"):
        page = (
            f"{ours.hub_url}/hub/{action}/{value}"  # the proxy itself answers 500 to a path that is no UTF-8
        )
        statuses.append(admin.session.get(page, timeout=60).status_code)
        xsrf = admin.session.cookies.get("_xsrf", path="/hub/")
        statuses.append(admin.session.post(page, data={"_xsrf": xsrf}, timeout=60).status_code)
    for cookie in ("hubagent-new-password", "jupyterhub-hub-login"):
        headers = {"Cookie": f"{cookie}={value[:2000]}"}
        statuses.append(
            stranger.session.get(f"{ours.url}/hub/new-password", headers=headers, timeout=60).status_code
        )
    assert max(statuses) < 500, statuses
    assert not faults(ours.log[begun:])


@pytest.mark.parametrize(
    "value", [None, True, 3, 1.5, [], {}, ["a"], *TEXTS], ids=lambda value: ascii(value)[:20]
)
def test_names_of_any_kind(ours: RunningHub, value: object) -> None:
    """Of new users, alone and among others, and of renamed ones."""
    begun = len(ours.log)
    for method, path, body in (
        ("POST", "users", {"usernames": [value]}),
        ("POST", "users", {"usernames": ["fine", value]}),
        ("PATCH", "users/fine", {"name": value}),
        ("POST", f"users/{percent_encoded(value)}" if isinstance(value, str) else "users/x", {"name": value}),
        ("POST", "groups/ada/users", {"users": [value]}),
        ("POST", "users/fine/tokens", {"auth": {"username": value, "password": value}}),
    ):
        status, _ = call(
            f"{ours.url}/hub/api/{path}",
            method=method,
            token=TOKEN,
            body=json.dumps(body).encode(),
            timeout_s=60,
        )
        call(f"{ours.url}/hub/api/users/fine", method="POST", token=TOKEN, timeout_s=60)
        assert not faults(ours.log[begun:]), (method, path[:50], status)
        if method != "PATCH" and path == "users":
            assert status < 500, (method, path[:50], ours.log[begun:][-3000:])
