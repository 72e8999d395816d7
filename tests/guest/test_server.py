"""What a user and the hub can see of a server is the same however it was started."""

from __future__ import annotations

import contextlib
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
import websocket

from hubagent import wire
from tests.guest.conftest import Running, Starter
from tests.guest.container import DEADLINE_S, HOME, IMAGE, Container
from tests.guest.hub import TOKEN, USER_TOKEN, Hub
from tests.waiting import wait_until

PREFIX = "/user/ann/"
OURS = pytest.mark.parametrize("how", ["cold", "warm"])
"""Not as Docker alone would start it."""


@pytest.fixture
def browser(server: Running) -> requests.Session:
    """Logged in, the way that a browser does."""
    session = requests.Session()
    first = session.get(f"{server.url}lab", allow_redirects=False)
    assert first.status_code == 302
    authorize = session.get(f"{server.hub.url}{first.headers['Location']}", allow_redirects=False)
    back = session.get(
        f"http://127.0.0.1:{server.port}{authorize.headers['Location']}", allow_redirects=False
    )
    assert back.status_code == 302, back.text
    return session


def test_cookies_are_for_the_users_prefix_alone(server: Running, browser: requests.Session) -> None:
    browser.get(f"{server.url}lab")
    paths = {cookie.name: cookie.path for cookie in browser.cookies}
    assert "jupyterhub-user-ann" in paths
    assert set(paths.values()) == {PREFIX}, paths


def test_the_lab_opens(server: Running, browser: requests.Session) -> None:
    page = browser.get(f"{server.url}lab")
    assert page.status_code == 200
    assert '"hubUser": "ann"' in page.text


def test_a_stranger_is_sent_to_the_hub(server: Running) -> None:
    page = requests.get(f"{server.url}lab", allow_redirects=False)
    assert page.headers["Location"].startswith("/hub/api/oauth2/authorize?client_id=jupyterhub-user-ann")


def test_the_process_is_like_a_fresh_one(server: Running, plain: Running) -> None:
    """Whatever differs here may differ for a user's program."""
    facts, expected = server.facts, plain.facts
    for found in (facts, expected):
        assert found["environment"].pop("JUPYTERHUB_SERVICE_URL")
    assert facts.keys() == expected.keys()
    for name in facts:
        assert facts[name] == expected[name], name


def test_environment_and_folder(server: Running) -> None:
    facts = server.facts
    assert facts["environment"]["TEXT"] == "one\ntwo = ü"
    assert facts["environment"]["JUPYTERHUB_API_TOKEN"] == TOKEN
    assert facts["directory"] == HOME


def test_no_descriptor_is_left(server: Running, plain: Running) -> None:
    """Neither the socket of the claim, nor what waited on it."""
    table = Path("/proc/net/unix").read_text().splitlines()
    ours = {f"socket:[{line.split()[6]}]" for line in table if line.endswith(wire.GUEST_SOCKET)}
    assert not ours & set(links(server))
    assert links(server).count("anon_inode:[eventpoll]") == links(plain).count("anon_inode:[eventpoll]")


def links(running: Running) -> list[str]:
    """What the open descriptors of a server are."""
    found = []
    for descriptor in Path(f"/proc/{running.container.pid}/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.append(os.readlink(descriptor))
    return found


def test_terminals(server: Running) -> None:
    """The shell of a terminal: in the home, with the user's own start-up files, and git."""
    headers = {"Authorization": f"token {USER_TOKEN}"}
    made = requests.post(f"{server.url}api/terminals", headers=headers)
    assert made.status_code == 200, made.text
    url = f"{server.url.replace('http', 'ws', 1)}terminals/websocket/{made.json()['name']}"
    channel = websocket.create_connection(
        url, header=[f"{name}: {value}" for name, value in headers.items()], timeout=DEADLINE_S
    )
    words = "$PWD=$STARTUP=$(umask)=$(git init -q work && ls -d work)=$JUPYTER_CONFIG_PATH"
    channel.send(json.dumps(["stdin", f"echo ={words}=\r"]))
    seen = ""
    while f"={HOME}=was-read=0022=work==" not in seen:
        kind, *words = json.loads(channel.recv())
        seen += words[0] if kind == "stdout" else ""
    channel.close()
    requests.delete(f"{server.url}api/terminals/{made.json()['name']}", headers=headers)


def test_secrets_are_not_in_the_log(server: Running) -> None:
    assert TOKEN not in server.container.output


@OURS
def test_requests_that_fail_are_logged_without_their_secrets(
    new: Callable[..., Container], proof: wire.Proof, how: str
) -> None:
    hub = Hub()
    server = Starter(new, hub, proof)(how)
    hub.close()
    secrets = {"X-Xsrftoken": "xsrf-4711", "X-Api-Key": "key-4711", "Authorization": "token browser-4711"}
    answer = requests.get(
        f"{server.url}api/contents", headers={**secrets, "User-Agent": "a-browser"}, timeout=DEADLINE_S
    )
    assert answer.status_code == 500
    line = "500 GET /user/ann/api/contents (@127.0.0.1)"
    wait_until(lambda: line in server.container.output, "the line of the request")
    log = server.container.output
    assert '"User-Agent": "a-browser"' in log
    assert '"X-Xsrftoken": "[secret]"' in log
    assert TOKEN not in log
    assert "-4711" not in log


_FORGETFUL = ("--HubOAuth.cache_max_age=1",)


def _status(server: Running) -> int:
    headers = {"Authorization": f"token {USER_TOKEN}"}
    return requests.get(f"{server.url}api/contents", headers=headers, timeout=DEADLINE_S).status_code


def test_how_long_a_server_does_without_the_hub(new: Callable[..., Container], proof: wire.Proof) -> None:
    """So long as the hub's answer for a token may be old, which its arguments say: 300 s without."""
    hub = Hub()
    starter = Starter(new, hub, proof)
    long, short = starter("plain"), starter("plain", arguments=_FORGETFUL)
    assert (_status(long), _status(short)) == (200, 200)
    hub.close()
    wait_until(lambda: _status(short) == 500, "the answer is too old, and there is nobody to ask")
    assert _status(long) == 200


@OURS
def test_a_server_waits_for_a_hub_that_is_restarted(
    new: Callable[..., Container], proof: wire.Proof, how: str
) -> None:
    hub = Hub()
    server = Starter(new, hub, proof)(how, arguments=_FORGETFUL)
    assert _status(server) == 200
    hub.close()
    answers: list[int] = []

    def ask() -> None:
        while "Error connecting to" not in server.container.output:  # until it has missed the hub
            answers.append(_status(server))

    asking = threading.Thread(target=ask)
    asking.start()
    wait_until(lambda: "Error connecting to" in server.container.output, "the hub to be missed")
    again = Hub(hub.port)
    asking.join()
    again.close()
    assert set(answers) == {200}, server.container.output[-3000:]


def test_what_others_see_of_a_warm_server(starter: Starter) -> None:
    """An exec would put them into /proc/PID/environ; here they are in the memory of the process alone."""
    server = starter("warm")
    folder = Path(f"/proc/{server.container.pid}")
    assert TOKEN.encode() not in (folder / "environ").read_bytes() + (folder / "cmdline").read_bytes()


@pytest.mark.parametrize("how", ["cold", "warm"])
def test_the_users_own_packages(starter: Starter, how: str) -> None:
    facts, expected = starter(how, own=True).facts, starter("plain", own=True).facts
    assert expected["mine"] == f"{expected['packages'][1]}/mine.py"
    assert "/home/jovyan/.local/more" in expected["path"]
    for name in ("mine", "path", "packages", "webcolors"):
        assert facts[name] == expected[name], name


@pytest.mark.parametrize("how", ["cold", "warm"])
def test_what_a_program_reads_when_it_starts(starter: Starter, plain: Running, how: str) -> None:
    """The hub's word counts, though a warm process has to start anew for it."""
    given = {"LANG": "C", "TZ": "Asia/Tokyo", "PYTHONPATH": "/somewhere/else"}
    server = starter(how, **given)
    facts = server.facts
    assert {name: facts["environment"][name] for name in given} == given
    assert facts["zone"] == ["JST", "JST"]
    assert "/somewhere/else" in facts["path"]
    assert facts["environment"].get("LC_CTYPE") == "C.UTF-8"  # PEP 538
    assert ("anew" in server.container.output) == (how == "warm")


def test_an_image_without_a_locale(starter: Starter) -> None:
    image = {name: value for name, value in IMAGE.items() if name != "LANG"}
    expected = starter("plain", image=image).facts
    for how in ("cold", "warm"):
        facts = starter(how, image=image).facts
        for name in ("locale", "encodings"):
            assert facts[name] == expected[name], (how, name)
        assert facts["environment"].keys() == expected["environment"].keys(), how
