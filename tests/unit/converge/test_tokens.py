"""The tokens by which agent, hub and proxy know each other are replaced by an order, together, and by nothing else."""

from __future__ import annotations

import subprocess
import sys

import pytest

from hubagent.converge.intent import Order
from hubagent.converge.requests import Request, Requests
from hubagent.ladder import Level
from hubagent.layout import HUB, PROXY
from hubagent.ports import JobResult, UnitVerb
from hubagent.state.model import Component, Verb
from hubagent.state.status import Result
from tests.faults.whole import assert_at_rest, assert_runs_what_is_in_force
from tests.unit.converge.world import CONFIG, World

BODY = CONFIG + "nginx: {max_body: 7m}\n"
TOGETHER = [(Component.PROXY, "restart"), (Component.HUB, "restart"), (Component.PROXY, "resync")]


@pytest.fixture
def world() -> World:
    world = World()
    assert world.reconcile().result is Result.OK
    return world


def _tokens(world: World) -> tuple[str, str]:
    return world.hub_token, world.agent_token


def _kept(world: World) -> tuple[str, ...]:
    """What is beside the generations."""
    states = [
        world.files.read(world.layout.secrets / name, max_bytes=1000)
        for name in ("proxy-token", "agent-token")
    ]
    return tuple(state.content.decode() for state in states if state is not None)


def test_ordered_they_are_replaced_in_proxy_and_hub_and_routes_come_back(world: World) -> None:
    before = _tokens(world)
    assert world.reconcile(new_tokens=True, allow_disruption=True).result is Result.OK
    assert world.taken == TOGETHER
    assert not set(before) & set(_tokens(world))
    assert_runs_what_is_in_force(world)
    assert_at_rest(world)
    world.reboot_agent()
    world.reconcile()
    assert [component for component, _ in world.taken] == [Component.METRICS]
    assert _kept(world) == _tokens(world)


def test_a_plan_says_what_users_would_notice_and_changes_nothing(world: World) -> None:
    plan = world.reconciler.preview(Order(new_tokens=True, allow_disruption=True)).plan
    assert [(step.component, step.verb) for step in plan.steps] == [
        (Component.PROXY, Verb.RESTART),
        (Component.HUB, Verb.RESTART),
        (Component.PROXY, Verb.RESYNC),
    ]
    assert (plan.level, plan.pending) == (Level.PROXY_RESTART, ())
    assert_at_rest(world)


def test_without_leave_to_drop_websockets_nothing_is_replaced(world: World) -> None:
    """Least of all in the hub alone, which then could not reach the proxy."""
    assert world.reconcile(new_tokens=True).result is Result.NOOP
    assert world.taken == []
    assert_runs_what_is_in_force(world)


@pytest.mark.parametrize("name", [PROXY, HUB])
def test_what_does_not_come_up_with_them_goes_back_to_the_old_ones(world: World, name: str) -> None:
    before = _tokens(world)
    world.units.fail(UnitVerb.RESTART, name, JobResult.FAILED)
    assert world.reconcile(new_tokens=True, allow_disruption=True).result is Result.ROLLED_BACK
    assert _tokens(world) == before
    assert_runs_what_is_in_force(world)
    assert_at_rest(world)
    assert world.reconcile(new_tokens=True, allow_disruption=True).result is Result.OK, (
        "it can be asked for again"
    )
    assert not set(before) & set(_tokens(world))


def test_a_proxy_that_does_not_take_the_new_one_is_noticed(world: World) -> None:
    token = world.proxy_token

    def keep(_verb: UnitVerb) -> None:
        world.proxy_token = token

    world.units.on(PROXY, keep)
    outcome = world.reconcile(new_tokens=True, allow_disruption=True)
    assert outcome.result is Result.ROLLED_BACK
    assert "does not take the token of its API" in str(outcome.failure)
    assert_runs_what_is_in_force(world)


def test_a_rollback_does_not_bring_an_old_one_back(world: World) -> None:
    """Nor does it need the proxy's restart."""
    world.edit(BODY)
    assert world.reconcile().result is Result.OK
    assert world.reconcile(new_tokens=True, allow_disruption=True).result is Result.OK
    after = _tokens(world)
    assert world.reconcile(rollback_to=1).result is Result.OK
    assert (Component.PROXY, "restart") not in world.taken
    assert world.current("hubagent.yaml") == CONFIG.encode()
    assert _tokens(world) == after
    assert_runs_what_is_in_force(world)
    assert_at_rest(world, Result.REJECTED)


def test_an_edit_can_come_with_them(world: World) -> None:
    world.edit(BODY)
    assert world.reconcile(new_tokens=True, allow_disruption=True).result is Result.OK
    assert world.taken == [TOGETHER[0], (Component.NGINX, "reload"), *TOGETHER[1:]]
    assert_runs_what_is_in_force(world)


@pytest.mark.parametrize("new_tokens", [True, False])
def test_the_order_reaches_the_running_agent(world: World, *, new_tokens: bool) -> None:
    agent, command = (Requests(world.files, world.layout) for _ in range(2))
    assert agent.waiting() == ()
    request = Request("1", Order(allow_disruption=True, new_tokens=new_tokens, retry=True))
    command.send(request)
    assert agent.waiting() == (request,)


def test_the_command_wants_leave_to_drop_websockets() -> None:
    command = [sys.executable, "-m", "hubagent", "apply", "--new-tokens"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 2
    assert "add --allow-disruption" in done.stderr


def test_no_token_is_in_what_is_printed_or_readable(world: World) -> None:
    world.reconcile(new_tokens=True, allow_disruption=True)
    for file in world.generations.desired().files:  # type: ignore[union-attr]
        if file.mode & 0o004:
            assert not any(token.encode() in file.content for token in _tokens(world)), file.path


@pytest.mark.parametrize("name", [PROXY, HUB])
def test_nothing_is_replaced_while_one_of_the_two_is_masked(world: World, name: str) -> None:
    """It may run all the same, and would go on with the old one."""
    world.units.mask(name)
    outcome = world.reconcile(new_tokens=True, allow_disruption=True)
    assert outcome.result is Result.REJECTED
    assert f"{name} is masked: `systemctl unmask` it first" in outcome.problems[-1].message
    assert world.taken == []
    assert world.reconcile().result is Result.NOOP
    assert_runs_what_is_in_force(world)
