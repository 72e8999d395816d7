"""A hub that is told to end does, whatever its database is doing, and people's servers run on."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest
from postgres import PASSWORD, Postgres, running_postgres
from running import ROOT, call
from scene import TOKEN, UNCLOSED, Scene, staged

from tests.waiting import wait_until

pytestmark = UNCLOSED

Fault = Callable[[Postgres], AbstractContextManager[None]]


def _stop_s() -> float:
    """After which systemd kills it."""
    unit = (ROOT / "units" / "jupyterhub.service").read_text()
    (value,) = [line.partition("=")[2] for line in unit.splitlines() if line.startswith("TimeoutStopSec=")]
    return float(value)


@pytest.fixture(scope="module")
def postgres() -> Iterator[Postgres]:
    with running_postgres() as running:
        yield running


@pytest.fixture(scope="module")
def scene(postgres: Postgres, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    folder = tmp_path_factory.mktemp("docker")
    with staged(folder, database=postgres.new("hub"), database_password=PASSWORD) as stage:
        yield stage


@contextmanager
def _stopped(postgres: Postgres) -> Iterator[None]:
    postgres.stop()
    try:
        yield
    finally:
        postgres.start()


@pytest.mark.parametrize("fault", [_stopped, Postgres.frozen, Postgres.unreachable])
@pytest.mark.parametrize("asked", ["at work", "at rest"])
def test_it_ends_when_told(scene: Scene, postgres: Postgres, fault: Fault, asked: str) -> None:
    hub, user = scene.hub, f"{fault.__name__.strip('_')}{asked[3:]}"
    container = scene.container(user)
    with fault(postgres):
        if asked == "at work":  # on what the database may not answer
            call(f"{hub.hub_url}/hub/api/users", token=TOKEN, timeout_s=2.0)
        hub.end(within_s=_stop_s())
    assert container.running
    hub.start()
    assert scene.docker.named(container.name) is container
    wait_until(lambda: scene.ready(user), "the hub to have found it again")
    assert scene.answers(user)
    scene.stop(user)


def test_a_database_out_of_reach_is_no_answer_for_seconds_only(scene: Scene, postgres: Postgres) -> None:
    """Without limits on the connection Linux would wait for minutes, and with it everybody who asks the hub."""
    assert scene.api("GET", "users")[0] == 200
    pid = scene.hub.hub_pid
    with postgres.unreachable():
        status, body = scene.api("GET", "users")  # within 60 s
        assert status == 503, body
        assert call(f"{scene.hub.hub_url}/hub/health", timeout_s=60.0)[0] == 200
    wait_until(lambda: scene.api("GET", "users")[0] == 200, "the database again")
    assert scene.hub.hub_pid == pid
