"""`hub.start: at_login`, by sign-ins through a real proxy: what is begun, for whom, and what becomes of it when nobody
comes."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from bench_login import PASSWORD, add_accounts
from browser import Browser
from clicks import Clicks
from crowd import crowd
from running import CONFIG, call, server

from hubagent import wire
from hubagent.pool.broker import Request
from tests.waiting import wait_until

UNVISITED_S = 3.0
CLASS = 40


class Signing(Clicks):
    """Counts the starts that the agent is asked for, and may refuse them or keep them waiting."""

    def __init__(self, *arguments: Any) -> None:
        self.starts: Counter[str] = Counter()  # by user
        self.servers: dict[str, str] = {}  # by user: the entry that was asked for
        self.refuses = False
        self.goes_on = threading.Event()
        self.goes_on.set()
        self.ends = threading.Event()
        self.ends.set()
        super().__init__(*arguments)

    def _answer(self, request: Request) -> object:
        if isinstance(request, wire.Claim):
            self.starts[request.user] += 1
            self.servers[request.user] = request.server
            self.goes_on.wait(60)
        if isinstance(request, wire.Stop):
            self.ends.wait(60)
        if self.refuses and isinstance(request, wire.Claim | wire.Create):
            return wire.Refused("engine", "There is no memory left for one more server.")
        return super()._answer(request)

    def sign(self, user: str, following: str | None = None, password: str = PASSWORD) -> tuple[int, str]:
        """Status and Location of the answer to a password. What follows is not asked for."""
        browser = Browser(self.hub.url)
        query = "" if following is None else f"?next={requests.utils.quote(following, safe='')}"
        form = browser.open(f"/hub/login{query}").form("/hub/login")
        fields = {**form.fields, "username": user, "password": password}
        answer = browser.session.post(form.action, data=fields, allow_redirects=False, timeout=60)
        return answer.status_code, answer.headers.get("Location", "")

    def runs(self, user: str) -> bool:
        """As the proxy sees it; asks nothing of the server."""
        routes = requests.get(
            f"{self.hub.proxy_api_url}/api/routes",
            headers={"Authorization": f"token {self.hub.secrets['proxy_token']}"},
            timeout=60,
        ).json()
        return f"/user/{user}" in {one.rstrip("/") for one in routes}

    def edit(self, *entries: str, at_login: bool = True) -> None:
        self.hub.servers.update(
            servers={name: server(name) for name in entries}, default=entries[0], start_at_login=at_login
        )
        self.hub.write()


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Signing]:
    with crowd(
        tmp_path_factory.mktemp("signing"), program="hubagent.hub.application", config=CONFIG, kind=Signing
    ) as made:
        made.hub.settings["traits"]["HubagentSpawner"]["unvisited_s"] = UNVISITED_S
        made.edit("julia")
        made.hub.stop_hub()
        add_accounts(made.hub, CLASS, rounds=4)
        made.hub.start()
        yield made


@pytest.fixture
def signing(hub: Signing) -> Iterator[Signing]:
    hub.edit("julia")
    yield hub
    hub.goes_on.set()
    hub.refuses = False
    for user in list(hub.asked):
        wait_until(lambda user=user: hub.api("DELETE", f"users/{user}/server") in {204, 404}, "a stop")
    hub.starts.clear()
    hub.asked.clear()


@pytest.mark.parametrize(
    "following", [None, "/hub/", "/", "/hub/spawn", "/user/student0/", "/hub/user/student0/"]
)
def test_who_signs_in_is_led_to_a_server_that_is_there(signing: Signing, following: str | None) -> None:
    """Tried until the start takes less than a second, as on a machine that is not busy."""

    def led() -> bool:
        status, place = signing.sign("student0", following)
        assert status == 302
        wait_until(lambda: signing.starts["student0"], "the start to begin")
        was_there = signing.runs("student0")
        wait_until(lambda: signing.api("DELETE", "users/student0/server") in {204, 404}, "a stop")
        return was_there and place == (following or "/user/student0/")

    wait_until(led, "a start in time")


@pytest.mark.parametrize("following", ["/hub/home", "/user/student0/lab?a=b", "/hub/user-redirect/lab"])
def test_who_goes_on_to_a_page_of_theirs_gets_there(signing: Signing, following: str) -> None:
    assert signing.sign("student0", following) == (302, following)
    wait_until(lambda: signing.starts == {"student0": 1}, "the start to begin")


@pytest.mark.parametrize(
    "following",
    [
        "/hub/admin",
        "/hub/token",
        "/hub/spawn?server=julia",
        "/hub/spawn/student1",
        "/user/student1/lab",
        "/hub/api/oauth2/authorize?client_id=x",
    ],
)
def test_who_goes_on_to_elsewhere_starts_nothing(signing: Signing, following: str) -> None:
    assert signing.sign("student0", following) == (302, following)
    assert not signing.starts


def test_nothing_is_started_for_who_is_not_signed_in(signing: Signing) -> None:
    assert signing.sign("student0", password="something else")[0] == 403
    assert not signing.starts


def test_nothing_is_started_unless_that_is_wanted(signing: Signing) -> None:
    signing.edit("julia", at_login=False)
    assert signing.sign("student0") == (302, "/hub/spawn")
    assert not signing.starts


def test_of_several_the_one_of_last_time_is_started_and_nothing_else(signing: Signing) -> None:
    signing.edit("julia", "r")
    assert signing.sign("student1") == (302, "/hub/spawn")
    assert not signing.starts

    assert signing.api("POST", "users/student1/server", {"server": "r"}) in {201, 202}
    wait_until(lambda: signing.api("DELETE", "users/student1/server") == 204, "a stop")
    signing.sign("student1")
    wait_until(lambda: signing.starts["student1"] == 2, "the start to begin")
    assert signing.servers["student1"] == "r"
    wait_until(lambda: signing.api("DELETE", "users/student1/server") == 204, "a stop")

    signing.edit("julia", "python")
    assert signing.sign("student1") == (302, "/hub/spawn")
    assert signing.starts["student1"] == 2


def test_a_server_that_runs_starts_or_stops_is_left_alone(signing: Signing) -> None:
    signing.goes_on.clear()
    assert [signing.sign("student2") for _ in range(2)] == [(302, "/user/student2/")] * 2
    signing.goes_on.set()
    wait_until(lambda: signing.runs("student2"), "the server")
    assert signing.sign("student2") == (302, "/user/student2/")
    signing.ends.clear()
    with ThreadPoolExecutor(1) as pool:
        stopped = pool.submit(signing.api, "DELETE", "users/student2/server")
        try:
            wait_until(lambda: not signing.runs("student2"), "the stop to begin")
            assert signing.sign("student2")[0] == 302
        finally:
            signing.ends.set()
        assert stopped.result() == 204
    assert signing.starts["student2"] == 1


def test_a_class_signs_in_at_once(signing: Signing) -> None:
    users = [f"student{number}" for number in range(CLASS)]
    with ThreadPoolExecutor(CLASS) as pool:
        answers = list(pool.map(signing.sign, users))
    assert {status for status, _ in answers} == {302}, answers
    # One that is too much for the agent at once is asked for a cold start: not by a Claim.
    wait_until(lambda: signing.asked.keys() == set(users), "a start for each")
    assert set(signing.starts.values()) == {1}


def test_a_start_that_is_refused_is_no_refusal_of_who_signs_in(signing: Signing) -> None:
    signing.refuses = True
    assert signing.sign("student3") == (302, "/hub/spawn")
    browser = Browser(signing.hub.url)
    page = browser.sign_in("student3", PASSWORD, following="/hub/spawn")
    assert "There is no memory left for one more server." in page.html
    assert browser.signed_in


def test_an_agent_that_is_away_is_waited_for_by_nobody_who_signs_in(signing: Signing) -> None:
    signing._agent.stop()
    try:
        assert signing.sign("student4") == (302, "/user/student4/")
    finally:
        signing._agent.start()
    wait_until(lambda: signing.runs("student4"), "the server")


def test_a_list_of_servers_that_cannot_be_read_keeps_nobody_out(signing: Signing) -> None:
    (signing.hub.folder / "etc" / "servers.json").write_text("{")
    assert signing.sign("student5") == (302, "/hub/spawn")


def test_one_that_nobody_comes_to_is_stopped_and_one_that_was_asked_for_anything_is_not(
    signing: Signing,
) -> None:
    """Even if it was a program with a token, or a page that then closed."""
    signing.sign("student6")
    wait_until(lambda: signing.runs("student6"), "a server")
    assert call(f"{signing.hub.url}/user/student6/api", timeout_s=60)[0] == 200
    signing.sign("student7")
    wait_until(lambda: signing.starts["student7"] and not signing.runs("student7"), "a stop")
    assert "Nobody has come to student7" in signing.hub.log
    assert signing.runs("student6")
    # One that its user has started is theirs, whoever comes.
    assert signing.api("POST", "users/student7/server") in {201, 202}
    signing.sign("student8")
    wait_until(lambda: signing.starts["student8"] and not signing.runs("student8"), "a stop")
    assert signing.runs("student7")


def test_the_agents_own_sign_in_and_tokens_start_nothing(signing: Signing) -> None:
    answer = requests.post(
        f"{signing.hub.hub_url}/hub/api/hubagent/probe",
        headers={"Authorization": f"token {signing.hub.secrets['agent_token']}"},
        timeout=60,
    ).json()
    assert signing.sign(answer["username"], None, answer["password"]) == (303, "/hub/home")
    asked = {"auth": {"username": "student9", "password": PASSWORD}}
    made = requests.post(f"{signing.hub.hub_url}/hub/api/users/student9/tokens", json=asked, timeout=60)
    assert made.status_code in {201, 403}
    assert not signing.starts
