"""When a server is stopped for being idle, and what the hub's pages say of it."""

from __future__ import annotations

import asyncio
import datetime
import json
import subprocess
import time
import urllib.request
import uuid
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests
from conftest import choose_first_password
from docker_daemon import Container
from running import ROOT, server
from scene import TOKEN, UNCLOSED, Scene, staged
from tornado.httpclient import HTTPRequest
from tornado.websocket import websocket_connect

from hubagent.hub.idle import idle_notice
from tests.waiting import wait_until

pytestmark = UNCLOSED

HEADERS = {"Authorization": f"token {TOKEN}"}


@pytest.mark.parametrize(
    ("stop_s", "busy_s", "said"),
    [
        (1800, 28800, "nobody uses for 30 minutes is stopped; files stay, variables are lost"),
        (1800, 28800, "a cell that computes, with its page closed too, for 8 hours at most"),
        (60, 5400, "for 1 minute is stopped"),
        (60, 5400, "for 90 minutes at most"),
        (86400, 172800, "for 1 day is stopped"),
        (1800, 0, "with the page closed, a cell that computes does not"),
    ],
)
def test_it_says_what_counts_and_for_how_long(stop_s: float, busy_s: float, said: str) -> None:
    assert said in idle_notice(stop_s, busy_s)


def test_it_says_nothing_where_servers_are_never_stopped() -> None:
    assert idle_notice(0, 28800) == ""


@contextmanager
def idle_after(scene: Scene, seconds: float) -> Iterator[Callable[[], str]]:
    """Restart the hub so that it stops what is idle for so long; what it has logged since then."""
    before = len(scene.hub.log)
    scene.hub.settings["stop_idle_after_s"] = seconds
    scene.hub.restart_hub()
    try:
        yield lambda: scene.hub.log[before:]
    finally:
        scene.hub.settings["stop_idle_after_s"] = 1800
        scene.hub.restart_hub()


def looks(log: str) -> int:
    """How often the culler has looked: each look begins with this request."""
    return log.count("GET /hub/api/ (idle-culler@")


def is_gone(scene: Scene, container: Container) -> bool:
    return scene.docker.named(container.name) is None


def test_the_hubs_pages_say_when_a_server_is_stopped(stage: Scene) -> None:
    page = choose_first_password(stage.hub).open("/hub/home").html
    assert "nobody uses for 30 minutes is stopped" in page
    assert "a cell that computes, with its page closed too, for 8 hours" in page


def test_idle_servers_are_stopped_but_not_at_the_first_look_after_a_restart(stage: Scene) -> None:
    container = stage.container("idler")
    with idle_after(stage, 2) as log:
        wait_until(lambda: is_gone(stage, container), "the idle server to be stopped")
        assert looks(log().partition("Culling server idler")[0]) >= 2


def test_a_server_that_says_it_was_active_is_not_stopped_until_it_says_so_no_more(stage: Scene) -> None:
    container = stage.container("worker")
    environment = container.became.environment
    assert float(environment["HUBAGENT_KEEP_BUSY_S"]) == 28800
    assert environment["JUPYTERHUB_ACTIVITY_INTERVAL"] == "300"
    with idle_after(stage, 4) as log:
        while looks(log()) < 5:  # of 2 s each
            assert tell_active(environment) == 200
        assert not is_gone(stage, container)
        wait_until(lambda: is_gone(stage, container), "the idle server to be stopped")


@dataclass(frozen=True)
class Turn:
    """At the end of a lecture: two servers were idle when the culler asked, and it is still at the first."""

    second: Container
    log: Callable[[], str]
    go_on: Callable[[], None]


@contextmanager
def at_the_first_of(scene: Scene, first: str, second: str) -> Iterator[Turn]:
    scene.container(first)
    container = scene.container(second)
    with idle_after(scene, 4) as log, scene.agent.hold.at("before Stop") as hold:
        wait_until(lambda: hold.reached, "the first one to be stopped")
        yield Turn(container, log, hold.release)


def test_who_is_at_work_again_when_their_turn_comes_keeps_the_server(stage: Scene) -> None:
    with at_the_first_of(stage, "gone-home", "came-back") as turn:
        environment = turn.second.became.environment
        assert tell_active(environment) == 200
        turn.go_on()
        end = looks(turn.log()) + 2
        while looks(turn.log()) < end:
            assert tell_active(environment) == 200
        assert "Culling server gone-home" in turn.log()
        assert "Culling server came-back" not in turn.log()
        assert not is_gone(stage, turn.second)


def test_a_start_that_is_pending_when_its_turn_comes_goes_on(stage: Scene) -> None:
    """However long it takes: somebody waits for it."""
    with at_the_first_of(stage, "went-home", "starts-anew") as turn, ThreadPoolExecutor(1) as pool:
        stage.docker.kill(turn.second)
        wait_until(lambda: not stage.ready("starts-anew"), "its end to be noticed")
        stage.docker.hold_file.touch()
        try:
            answer = pool.submit(stage.start, "starts-anew")
            wait_until(lambda: stage.model("starts-anew").get("pending") == "spawn", "the start")
            turn.go_on()
            end = looks(turn.log()) + 3  # of 2 s each: more than the time after which it would be idle
            wait_until(lambda: looks(turn.log()) >= end, "looks of the culler")
        finally:
            stage.docker.hold_file.unlink()
        assert answer.result()[0] in {201, 202}
        assert "Interrupting the start" not in turn.log()
        assert "Culling server starts-anew" not in turn.log().partition("to start")[0]


def tell_active(environment: Mapping[str, str]) -> int:
    """What a server tells its hub while a cell computes; the status of the answer."""
    now = datetime.datetime.now(datetime.UTC).isoformat()
    name = environment["JUPYTERHUB_SERVER_NAME"]
    request = urllib.request.Request(
        environment["JUPYTERHUB_ACTIVITY_URL"],
        json.dumps({"last_activity": now, "servers": {name: {"last_activity": now}}}).encode(),
        {"Authorization": f"token {environment['JUPYTERHUB_API_TOKEN']}"},
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        return int(answer.status)


# The whole chain: hub, culler, proxy, and a Jupyter server as our guest starts it. Only Docker is scripted.


@contextmanager
def jupyter(folder: Path, **settings: object) -> Iterator[Scene]:
    """A scene in which the user ann has a Jupyter server."""
    subprocess.run([ROOT / "tests" / "guest_venv.sh"], check=True)
    with staged(folder, stop_idle_after_s=10, **settings) as scene:
        scene.edit(jupyter=server("jupyter", image="jupyter", home="/home/jovyan"))
        assert scene.start("ann")[0] in {201, 202}
        wait_until(lambda: scene.ready("ann"), "a Jupyter server", timeout_s=120.0)
        yield scene


def test_a_cell_that_computes_keeps_its_server_with_the_page_closed(tmp_path: Path) -> None:
    with jupyter(tmp_path, keep_busy_s=28800) as scene:
        kernel = compute(scene, "ann")
        end = looks(scene.hub.log) + 5  # of 5 s each
        wait_until(lambda: looks(scene.hub.log) >= end, "looks of the culler", timeout_s=120.0)
        assert scene.runs("jupyter-ann")
        assert "Culling server" not in scene.hub.log
        requests.post(f"{scene.hub.url}/user/ann/api/kernels/{kernel}/interrupt", headers=HEADERS, timeout=60)
        wait_until(lambda: not scene.runs("jupyter-ann"), "the idle server to be stopped", timeout_s=120.0)


def test_it_does_so_for_as_long_as_it_may(tmp_path: Path) -> None:
    with jupyter(tmp_path, keep_busy_s=30) as scene:
        begun_s = time.monotonic()
        compute(scene, "ann")
        wait_until(lambda: not scene.runs("jupyter-ann"), "the busy server to be stopped", timeout_s=240.0)
        assert time.monotonic() - begun_s > 30
        assert "Culling server ann" in scene.hub.log


def compute(scene: Scene, user: str) -> str:
    """Run a cell that takes ten minutes in a new kernel, and close the page; the kernel's id."""
    url = f"{scene.hub.url}/user/{user}/api/kernels"
    kernel = str(requests.post(url, headers=HEADERS, timeout=60).json()["id"])
    asyncio.run(
        _execute(f"{url.replace('http', 'ws', 1)}/{kernel}/channels", "__import__('time').sleep(600)")
    )
    return kernel


async def _execute(url: str, code: str) -> None:
    """Return once the kernel says that it is busy."""
    page = await websocket_connect(HTTPRequest(url, headers=HEADERS))
    header = {"msg_id": uuid.uuid4().hex, "msg_type": "execute_request", "session": "a", "username": ""}
    content = {"code": code, "silent": False, "store_history": True, "user_expressions": {}}
    message = {"header": {**header, "version": "5.3"}, "parent_header": {}, "metadata": {}, "buffers": []}
    await page.write_message(
        json.dumps({**message, "channel": "shell", "content": {**content, "allow_stdin": False}})
    )
    async with asyncio.timeout(60):
        while not _says_busy(await page.read_message(), header["msg_id"]):
            pass
    page.close()


def _says_busy(text: str | bytes | None, request: str) -> bool:
    assert text is not None, "the page was closed"
    message = json.loads(text)
    return (
        message["parent_header"].get("msg_id") == request
        and message["content"].get("execution_state") == "busy"
    )
