"""Homes of people who have signed in are made before they ask for a server."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Iterator

import pytest

from hubagent.config.kinds.types import ServerName
from hubagent.config.model import Config
from hubagent.config.model.servers import Server
from hubagent.pool.home_prefetch import HomePrefetch, homes_ahead
from hubagent.pool.owners import Account
from hubagent.pool.volumes import Home
from tests.fakes import FakeContainers
from tests.unit.pool.volumes import volumes_on
from tests.waiting import wait_until

JULIA = Server(name=ServerName("julia"), title="Julia")
STATISTICS = dataclasses.replace(JULIA, name=ServerName("statistics"), image="example/statistics")


@pytest.fixture
def containers() -> FakeContainers:
    return FakeContainers()


@pytest.fixture
def prefetch(containers: FakeContainers) -> Iterator[HomePrefetch]:
    one = HomePrefetch(lambda: Config(servers=(JULIA,)), volumes_on(containers).home_of)
    one.start()
    yield one
    one.stop()


def test_a_newcomer_finds_a_home(containers: FakeContainers, prefetch: HomePrefetch) -> None:
    for user in ("ada", "grace"):
        prefetch.expect(Account(user))
    wait_until(
        lambda: len(containers.volumes) == 2 and not containers.containers,
        lambda: "two homes, finished",
        timeout_s=10.0,
    )
    assert sorted(containers.volumes) == ["jupyterhub-user-ada", "jupyterhub-user-grace"]


def test_a_home_that_is_there_is_left_alone(containers: FakeContainers, prefetch: HomePrefetch) -> None:
    containers.volumes["jupyterhub-user-ada"] = {}
    prefetch.expect(Account("ada"))
    prefetch.expect(Account("grace"))
    wait_until(
        lambda: "jupyterhub-user-grace" in containers.volumes, lambda: "the second home", timeout_s=10.0
    )
    assert len(containers.calls("create")) == 1


def test_a_failure_is_left_to_the_start_and_stops_nobody_else(
    containers: FakeContainers, prefetch: HomePrefetch
) -> None:
    containers.fail("create")
    prefetch.expect(Account("ada"))
    prefetch.expect(Account("grace"))
    wait_until(
        lambda: list(containers.volumes) == ["jupyterhub-user-grace"],
        lambda: "the second home",
        timeout_s=10.0,
    )


def test_it_ends_when_told_whoever_waits() -> None:
    entered, go_on = threading.Event(), threading.Event()
    made: list[str] = []

    def slow(server: Server, account: Account) -> Home:
        made.append(account.user)
        entered.set()
        go_on.wait(10.0)
        return Home("", "")

    one = HomePrefetch(lambda: Config(servers=(JULIA,)), slow)
    one.start()
    for number in range(50):
        one.expect(Account(f"student{number}"))
    assert entered.wait(10.0)
    one.stop(timeout_s=0.0)
    go_on.set()
    wait_until(
        lambda: not any(thread.name == "arrivals" for thread in threading.enumerate()),
        lambda: "its end",
        timeout_s=10.0,
    )
    assert made == ["student0"], "those who still waited have their homes made at their first start"


def test_a_home_that_different_images_share_is_filled_by_the_first_that_is_used() -> None:
    assert homes_ahead([JULIA, STATISTICS]) == ()
    apart = dataclasses.replace(STATISTICS, volume=type(JULIA.volume)("statistics-{username}"))
    assert homes_ahead([JULIA, apart]) == (JULIA, apart)
    larger = dataclasses.replace(JULIA, name=ServerName("larger"), memory_bytes=8 * 1024**3)
    assert homes_ahead([JULIA, larger]) == (JULIA,)
