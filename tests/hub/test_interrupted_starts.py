"""A start that is not wanted any more: at whatever moment that is, nothing of it is left, and the next one works."""

from __future__ import annotations

import json
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import pytest
import requests
from running import call, server
from scene import TOKEN, UNCLOSED, Scene

from hubagent.naming import volume_name
from tests.waiting import wait_until

pytestmark = UNCLOSED

COLD = [
    "before Claim",
    "after Claim",
    "before Create",
    "create",
    "start",
    "launcher does not listen",
    "after Create",
    "server does not answer",
    "route is not there",
]
WARM = ["before Claim", "after Claim", "server does not answer", "route is not there"]
HOME = "jupyterhub-user-{username}"
MOMENTS = [*(("cold", moment) for moment in COLD), *(("warm", moment) for moment in WARM)]


def named(what: str, kind: str, moment: str) -> str:
    """A user for one test, whose container is called jupyter-NAME."""
    return f"{what}{kind}{moment}".replace(" ", "").lower()


class Start:
    """A server's start that has come to one moment and stays there until `go_on`."""

    def __init__(self, scene: Scene, user: str, release: Callable[[], None]) -> None:
        self.scene = scene
        self.user = user
        self.go_on = release
        self.asked: tuple[int, Any] = (0, None)  # what whoever asked for the start is answered

    def ask(self) -> None:
        self.asked = self.direct("POST", f"users/{self.user}/server")

    def delete(self, what: str = "server") -> threading.Thread:
        """Ask for the end, and return once the hub is at it."""
        before = len(self.scene.hub.log)
        self.answer: tuple[int, Any] = (0, None)

        def ask() -> None:
            path = f"users/{self.user}/server" if what == "server" else f"users/{self.user}"
            self.answer = self.direct("DELETE", path)

        thread = threading.Thread(target=ask)
        thread.start()
        wait_until(
            lambda: "Interrupting" in self.scene.hub.log[before:] or not thread.is_alive(), "the interruption"
        )
        return thread

    def direct(self, method: str, path: str) -> tuple[int, Any]:
        """Past the proxy, which may stand still."""
        status, body = call(
            f"{self.scene.hub.hub_url}/hub/api/{path}", method=method, token=TOKEN, timeout_s=60
        )
        return status, json.loads(body or b"null")

    @property
    def model(self) -> dict[str, Any]:
        status, body = self.direct("GET", f"users/{self.user}")
        assert status == 200
        found: dict[str, Any] = body["servers"].get("", {})
        return found


@contextmanager
def at(scene: Scene, user: str, kind: str, moment: str) -> Iterator[Start]:
    """A start that waits at this moment."""
    scene.edit(julia=server("julia", image="late" if moment.startswith("launcher") else "hubagent/julia"))
    scene.api("POST", f"users/{user}")
    slot = scene.agent.slots.make("julia") if kind == "warm" else ""
    proxy = scene.hub.proxy_pid
    before = len(scene.hub.log)
    with ExitStack() as stack:
        hold_file = scene.docker.hold_file
        if moment in {"server does not answer", "launcher does not listen"}:
            hold_file.touch()
            release: Callable[[], None] = lambda: hold_file.unlink(missing_ok=True)  # noqa: E731
        elif moment == "route is not there":
            os.kill(proxy, signal.SIGSTOP)
            release = lambda: os.kill(proxy, signal.SIGCONT)  # noqa: E731
        else:
            holder = scene.docker.hold if moment in {"create", "start"} else scene.agent.hold
            held = stack.enter_context(holder.at(moment))
            release = held.release
        stack.callback(release)
        start = Start(scene, user, release)
        post = threading.Thread(target=start.ask)
        post.start()
        stack.callback(post.join)
        stack.callback(release)

        def is_there() -> bool:
            if moment == "route is not there":
                return f"User {user} took" in scene.hub.log[before:]
            if moment == "launcher does not listen":
                return scene.runs(f"jupyter-{user}")
            if moment == "server does not answer":
                return scene.agent.slots.is_taken(user) if slot else scene.became(f"jupyter-{user}")
            return held.reached

        wait_until(is_there, f"the start to come to {moment}")
        yield start


def assert_gone(scene: Scene, user: str) -> None:
    """Neither container nor route, and the hub knows."""
    wait_until(lambda: not scene.left_of(user), f"nothing to be left of {user}'s server")
    wait_until(lambda: f"/user/{user}/" not in scene.routes(), "the route to go")


def assert_next_works(scene: Scene, user: str) -> None:
    assert scene.start(user)[0] == 201
    assert scene.answers(user)
    scene.stop(user)
    wait_until(lambda: not scene.model(user), "the next one to be stopped")
    assert_gone(scene, user)


@pytest.mark.parametrize(("kind", "moment"), MOMENTS)
def test_delete(stage: Scene, kind: str, moment: str) -> None:
    user = named("deleted", kind, moment)
    with at(stage, user, kind, moment) as start:
        thread = start.delete()
        assert not start.model.get("ready")
        start.go_on()
        thread.join()
    assert start.answer[0] in {202, 204}
    assert start.asked[0] in {201, 202, 409}, "it has an answer"
    wait_until(lambda: not stage.model(user), "the hub to take it for stopped")
    assert_gone(stage, user)
    assert_next_works(stage, user)


@pytest.mark.parametrize(("kind", "moment"), MOMENTS)
def test_the_user_is_deleted(stage: Scene, kind: str, moment: str) -> None:
    user = named("lost", kind, moment)
    with at(stage, user, kind, moment) as start:
        thread = start.delete("user")
        start.go_on()
        thread.join()
    assert start.answer[0] == 204
    assert_gone(stage, user)
    # The home stays, and is not that of the next account of the name: see test_identity.py.
    stage.docker.volumes.pop(volume_name(HOME, user), None)
    assert_next_works(stage, user)


@pytest.mark.parametrize("moment", ["before Create", "create", "after Create"])
def test_a_stop_that_takes_long(stage: Scene, moment: str) -> None:
    """What the agent has begun is waited for, behind the answer. Nothing else begins meanwhile."""
    user = named("slow", "cold", moment)
    with at(stage, user, "cold", moment) as start:
        thread = start.delete()
        assert start.direct("POST", f"users/{user}/server")[0] == 400, "it is being stopped"
        assert start.direct("DELETE", f"users/{user}/server")[0] == 202
        assert start.direct("DELETE", f"users/{user}")[0] == 400
        thread.join()
        assert start.answer[0] == 202
        assert start.model["pending"] == "stop"
        start.go_on()
    wait_until(lambda: not stage.model(user), "the hub to take it for stopped")
    assert_gone(stage, user)
    assert_next_works(stage, user)


@pytest.mark.parametrize(
    ("kind", "moment"), [("cold", "create"), ("cold", "server does not answer"), ("warm", "after Claim")]
)
def test_an_open_progress_page_is_told(stage: Scene, kind: str, moment: str) -> None:
    user = named("seen", kind, moment)
    before = len(stage.hub.log)
    with at(stage, user, kind, moment) as start:
        url = f"{stage.hub.hub_url}/hub/api/users/{user}/server/progress"
        headers = {"Authorization": f"token {TOKEN}"}
        with requests.get(url, headers=headers, stream=True, timeout=60) as answer:
            events = (json.loads(line[6:]) for line in answer.iter_lines() if line.startswith(b"data: "))
            assert not next(events).get("ready")
            thread = start.delete()
            start.go_on()
            last = list(events)[-1]
            thread.join()
    assert last["failed"]
    assert "ready" not in last
    assert "Uncaught exception" not in stage.hub.log[before:]
    assert_gone(stage, user)


@pytest.mark.parametrize(
    ("kind", "moment"),
    [
        ("cold", "create"),
        ("cold", "server does not answer"),
        ("warm", "after Claim"),
        ("warm", "route is not there"),
    ],
)
def test_the_agent_is_away_when_it_ends(stage: Scene, kind: str, moment: str) -> None:
    """The container goes when the agent is back."""
    user = named("orphan", kind, moment)
    with at(stage, user, kind, moment) as start:
        stage.agent.stop()
        try:
            thread = start.delete()
            start.go_on()
            thread.join()
        finally:
            stage.agent.start()
    assert start.answer[0] in {202, 204}
    wait_until(lambda: not stage.model(user), "the hub to take it for stopped")
    assert_gone(stage, user)
    assert_next_works(stage, user)


@pytest.mark.parametrize(
    ("kind", "moment"),
    [one for one in MOMENTS if not one[1].startswith("before") and one[1] != "route is not there"],
)
def test_the_hub_is_killed(stage: Scene, kind: str, moment: str) -> None:
    """It finds the server again, or nothing is left of it; either way it can be stopped and started."""
    user = named("killed", kind, moment)
    with at(stage, user, kind, moment) as start:
        os.kill(stage.hub.hub_pid, signal.SIGKILL)
        stage.hub.restart_hub()
        start.go_on()
    wait_until(lambda: not stage.model(user).get("pending"), "the hub to have found out")
    assert stage.ready(user) == bool(stage.left_of(user))
    assert stage.answers(user) or not stage.ready(user)
    stage.stop(user)
    wait_until(lambda: not stage.model(user), "the hub to take it for stopped")
    assert_gone(stage, user)
    assert_next_works(stage, user)


@pytest.mark.parametrize("what", ["server", "user"])
def test_a_server_that_the_hub_looks_for_after_its_restart(stage: Scene, what: str) -> None:
    """It may be too busy to answer, for long."""
    user = named("checked", "cold", what)
    stage.container(user)
    stage.docker.hold_file.touch()
    try:
        stage.hub.restart_hub()
        assert stage.model(user)["pending"] == "check"
        path = f"users/{user}/server" if what == "server" else f"users/{user}"
        assert stage.api("DELETE", path)[0] == (202 if what == "server" else 400)
        wait_until(lambda: not stage.model(user), "the hub to take it for stopped")
    finally:
        stage.docker.hold_file.unlink()
    assert_gone(stage, user)
    assert_next_works(stage, user)


def test_a_deleted_users_named_servers_end(stage: Scene) -> None:
    stage.api("POST", "users/several")
    for name in ("", "one", "two"):
        assert stage.start("several", name=name)[0] == 201
    assert stage.api("DELETE", "users/several")[0] == 204
    wait_until(lambda: not stage.containers("jupyter-several"), "all containers to be removed")
    wait_until(lambda: not any("/user/several/" in path for path in stage.routes()), "the routes to go")
