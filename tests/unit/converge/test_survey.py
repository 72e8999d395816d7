"""Who has a server, and how the pools are: what a Status says of containers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from hubagent.converge.problems import server_problems
from hubagent.layout import LABEL_DIGEST, LABEL_GUEST, LABEL_SERVER, LABEL_SLOT, LABEL_USER
from hubagent.ports import Container
from hubagent.state.status import ImageStatus, PoolStatus, Reason
from tests.unit.converge.world import CONFIG, World

WARM = CONFIG + "servers: {julia: {warm: {ready: 2}}}\n"


class Pools:
    """`survey.UserServers` as it is told to be."""

    def __init__(self, *pools: PoolStatus, users: Mapping[str, str] | None = None) -> None:
        self.pools = pools
        self.trouble = ""
        self.trials: dict[str, str] = {}
        self._users = users or {}

    def fault(self) -> str:
        return self.trouble

    def status(self) -> tuple[PoolStatus, ...]:
        return self.pools

    def failed_trials(self) -> Mapping[str, str]:
        return self.trials

    def users(self) -> Mapping[str, str]:
        return self._users

    def images(self) -> tuple[ImageStatus, ...]:
        return ()

    def homes_waiting(self) -> int:
        return 0


def container(number: int, *, state: str = "running", **labels: str) -> Container:
    names = {"user": LABEL_USER, "slot": LABEL_SLOT}
    given = {names[name]: value for name, value in labels.items()}
    always = {LABEL_SERVER: "julia", LABEL_DIGEST: "another", LABEL_GUEST: f"g{number}"}
    return Container(f"id{number}", f"name{number}", "image", state, {**always, **given})


def test_servers_are_those_that_somebody_has() -> None:
    world = World(WARM, pools=Pools(PoolStatus("julia", 2), users={"id2": "bob", "id4": "eve"}))
    world.engine.running = [
        container(1, user="ada"),
        container(2, slot="today"),
        container(3, slot="today"),  # waits
        container(4, slot="today", state="exited"),
        container(5),  # proves an image
    ]
    status = world.survey.status(world.reconcile())
    assert [(server.user, server.container) for server in status.servers] == [
        ("ada", "name1"),
        ("bob", "name2"),
    ]
    assert all(server.stale for server in status.servers)
    assert status.pools == (PoolStatus("julia", 2),)


def test_a_pool_in_which_nothing_can_be_made_is_a_problem() -> None:
    pools = Pools(PoolStatus("julia", 2, ready=1, last_failure="one has died"))
    world = World(WARM, pools=pools)
    assert Reason.POOL not in {problem.reason for problem in world.survey.status(world.reconcile()).problems}
    pools.pools = (PoolStatus("julia", 2, last_failure="no image"),)
    (problem,) = (one for one in world.survey.status(world.reconcile()).problems if one.reason is Reason.POOL)
    assert problem.message.startswith("servers.julia.warm: ")
    assert problem.message.endswith("no image")


def test_a_pool_whose_claims_fail_is_a_problem_though_slots_are_ready() -> None:
    pools = Pools(PoolStatus("julia", 2, ready=2, claims_fail="the last 3 claims failed: no home"))
    world = World(WARM, pools=pools)
    (problem,) = (one for one in world.survey.status(world.reconcile()).problems if one.reason is Reason.POOL)
    assert problem.message.endswith("so every start is cold: the last 3 claims failed: no home")


def test_a_hub_that_cannot_ask_for_servers_is_a_problem_until_it_can() -> None:
    pools = Pools()
    world = World(WARM, pools=pools)
    assert Reason.SPAWN not in {problem.reason for problem in world.survey.status(world.reconcile()).problems}
    pools.trouble = "/run/hubagent/spawn.sock: there is no user jupyterhub; reinstall hubagent"
    status = world.survey.status(world.reconcile())
    assert [problem.message for problem in status.problems if problem.reason is Reason.SPAWN] == [
        f"no server can be started: {pools.trouble}"
    ]
    pools.trouble = ""
    assert not world.survey.status(world.reconcile()).degraded


def test_what_the_hub_says_at_its_start_is_a_problem_until_it_starts_without() -> None:
    world = World(CONFIG)
    world.reconcile()
    notice = Path("/run/jupyterhub/notice")
    world.files.write(notice, "hub.database: what came later is in Zürich\n".encode(), mode=0o644)
    (problem,) = world.survey.status(world.reconcile()).problems
    assert (problem.reason, problem.message) == (
        Reason.SETTINGS,
        "hub.database: what came later is in Zürich",
    )
    world.files.write(notice, b"", mode=0o644)
    assert not world.survey.status(world.reconcile()).degraded


@pytest.mark.parametrize(("count", "words"), [(1, "1 home is waiting"), (3, "3 homes are waiting")])
def test_homes_that_somebody_waits_for_are_a_problem_without_names(count: int, words: str) -> None:
    assert server_problems("", (), {}) == ()
    (problem,) = server_problems("", (), {}, homes_waiting=count)
    assert problem.reason is Reason.HOME
    assert problem.message.startswith(words)
    assert "hubagent homes" in problem.message


def test_an_entry_that_no_server_starts_with_is_a_problem_of_its_own() -> None:
    pools = Pools()
    world = World(WARM, pools=pools)
    world.survey.status(world.reconcile())
    pools.trials["gpu"] = 'could not select device driver "nvidia"'
    status = world.survey.status(world.reconcile())
    assert [problem.message for problem in status.problems if problem.reason is Reason.SERVER] == [
        'servers.gpu: no server starts with these settings: could not select device driver "nvidia"'
    ]
    pools.trials.clear()
    assert not world.survey.status(world.reconcile()).degraded
