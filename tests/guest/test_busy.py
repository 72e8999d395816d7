"""A cell that computes is activity of its server, warm or cold, with no page open: for as long as it may be."""

from __future__ import annotations

import datetime
import json
import uuid
from collections.abc import Callable, Iterator

import pytest
import requests
import websocket

from hubagent import wire
from tests.guest.conftest import Running, Starter
from tests.guest.container import Container
from tests.guest.hub import USER_TOKEN, Hub
from tests.waiting import wait_until

HEADERS = {"Authorization": f"token {USER_TOKEN}"}
LIMIT_S = 8.0
UNKNOWN = f"assert {wire.KEEP_BUSY!r} not in __import__('os').environ"
"""For the user's programs there is no such variable."""
SOON = datetime.timedelta(seconds=1)


@pytest.fixture(params=["cold", "warm"])
def server(
    request: pytest.FixtureRequest, new: Callable[..., Container], proof: wire.Proof
) -> Iterator[Running]:
    """One that tells its hub every second when it was last active."""
    hub = Hub()
    told = {wire.KEEP_BUSY: f"{LIMIT_S:g}", "JUPYTERHUB_ACTIVITY_INTERVAL": "1"}
    running = Starter(new, hub, proof)(request.param, **told)
    yield running
    running.container.end()
    hub.close()


def begin(server: Running, code: str) -> str:
    """Run this in a new kernel and close the page; the kernel's id."""
    kernel = str(requests.post(f"{server.url}api/kernels", headers=HEADERS).json()["id"])
    url = f"{server.url.replace('http', 'ws', 1)}api/kernels/{kernel}/channels"
    page = websocket.create_connection(url, header=[f"{name}: {text}" for name, text in HEADERS.items()])
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "a", "username": ""}
    message = {"header": {**header, "version": "5.3"}, "parent_header": {}, "metadata": {}, "buffers": []}
    page.send(json.dumps({**message, "channel": "shell", "content": {**content, "allow_stdin": False}}))
    wait_until(lambda: state(server, kernel) == "busy", "it computes")
    page.close()
    return kernel


def state(server: Running, kernel: str) -> str:
    return str(requests.get(f"{server.url}api/kernels/{kernel}", headers=HEADERS).json()["execution_state"])


def told(server: Running) -> datetime.datetime:
    """When the server was last active, as the hub has heard."""
    return datetime.datetime.fromisoformat(
        max(server.hub.activity, default="1970-01-01T00:00:00Z").replace("Z", "+00:00")
    )


def is_active(server: Running) -> bool:
    """As the hub's culler sees it, if it stopped servers after two seconds."""
    return datetime.datetime.now(datetime.UTC) - told(server) < datetime.timedelta(seconds=2)


@pytest.mark.parametrize("code", ["__import__('time').sleep(600)", "while True: print(1, flush=True)"])
def test_it_is_active_while_a_cell_computes_and_no_longer_than_it_may(server: Running, code: str) -> None:
    kernel = begin(server, f"{UNKNOWN}\n{code}")
    begun = datetime.datetime.now(datetime.UTC)
    wait_until(lambda: told(server) > begun + SOON, "it is said to be active")
    wait_until(lambda: not is_active(server), "it has computed for too long")
    assert state(server, kernel) == "busy"


def test_a_cell_that_ends_and_another_one_begin_anew(server: Running) -> None:
    begin(server, "__import__('time').sleep(600)")
    wait_until(lambda: not is_active(server), "it has computed for too long")
    begin(server, "__import__('time').sleep(600)")
    again = datetime.datetime.now(datetime.UTC)
    wait_until(lambda: told(server) > again + SOON, "the other one counts")
