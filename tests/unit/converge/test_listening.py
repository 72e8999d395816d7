"""Services that run without a port of theirs: put right where nobody is interrupted, else said with who has it."""

from __future__ import annotations

import pytest

from hubagent.converge import doctor
from hubagent.converge.observe import UNITS
from hubagent.layout import PROXY, PROXY_API_PORT, PROXY_PORT
from hubagent.ports import ActiveState, Listener, UnitVerb
from hubagent.state.model import Component
from hubagent.state.status import Reason, Result, Status
from tests.unit.converge.world import CONFIG, GATEWAY, World

WHO = "python3 (pid 4711, demo.service)"


@pytest.fixture
def world() -> World:
    world = World()
    assert world.reconcile().result is Result.OK
    world.clock.advance(60.0)
    return world


def _status(world: World) -> Status:
    return world.survey.status(world.reconcile())


def _said(status: Status, reason: Reason) -> list[str]:
    return [problem.message for problem in status.problems if problem.reason is reason]


@pytest.mark.parametrize("port", [PROXY_PORT, PROXY_API_PORT])
def test_a_proxy_without_its_port_is_restarted_as_soon_as_the_port_is_free(world: World, port: int) -> None:
    """A foreign program had it when the proxy was started; the proxy lived on, and every page was 503."""
    world.take_port(port, WHO)
    before = world.units.verbs(PROXY)
    status = _status(world)
    (message,) = _said(status, Reason.PORT)
    assert f"{PROXY} runs without its port 127.0.0.1:{port}, which is held by {WHO}" in message
    assert "stop that program; the service then gets its port back by itself" in message
    assert (status.result, world.units.verbs(PROXY)) == (Result.NOOP, before)
    world.free_port(port)
    outcome = world.reconcile()
    assert outcome.result is Result.OK
    assert world.taken == [(Component.PROXY, "restart"), (Component.PROXY, "resync")]
    assert not world.survey.status(outcome).degraded
    assert world.reconcile().result is Result.NOOP


def test_a_closed_port_is_repaired_whatever_the_file_says_of_drift(world: World) -> None:
    """Nobody edited anything."""
    world.edit(CONFIG + "apply: {drift: warn}\n")
    world.reconcile()
    world.close_port(PROXY_PORT)
    assert world.reconcile().result is Result.OK
    assert (Component.PROXY, "restart") in world.taken


def test_websockets_that_go_through_the_proxy_still_are_not_dropped_unasked(world: World) -> None:
    world.close_port(PROXY_API_PORT)
    world.machine.established[PROXY_PORT] = 3
    before = world.units.verbs(PROXY)
    status = _status(world)
    assert [step.component for step in status.pending] == [Component.PROXY]
    assert "3 open connections" in _said(status, Reason.PORT)[0]
    assert world.units.verbs(PROXY) == before
    assert world.reconcile(allow_disruption=True).result is Result.OK
    assert not _status(world).degraded


def test_a_proxy_that_has_just_been_started_may_take_its_time(world: World) -> None:
    world.units.restart_by_itself(PROXY)
    world.close_port(PROXY_PORT)
    assert world.reconcile().result is Result.NOOP
    world.clock.advance(20.0)
    assert world.reconcile().result is Result.OK


def test_another_address_with_the_same_port_is_nobodys_business(world: World) -> None:
    world.machine.sockets.append(Listener(PROXY_PORT, "192.0.2.1", 0))
    world.machine.sockets.append(Listener(8081, "127.0.0.1", 0))
    assert not _status(world).degraded
    findings = doctor.examine(world.ports, world.reconciler, None)
    assert next(one for one in findings if one.check == "ports").ok


def test_who_has_the_port_is_said_as_well_as_is_known(world: World) -> None:
    """The unit that may look into other processes cannot be started: then the user is all that is known."""
    world.take_port(PROXY_PORT, WHO)
    world.units.mask(f"hubagent-port-holder@{PROXY_PORT}.service")
    assert "held by a program of the user root" in _said(_status(world), Reason.PORT)[0]


@pytest.mark.parametrize(
    ("component", "port"), [(Component.NGINX, 443), (Component.HUB, 8081), (Component.PROXY, PROXY_PORT)]
)
def test_a_service_that_does_not_start_for_a_held_port_says_who_has_it(
    world: World, component: Component, port: int
) -> None:
    world.take_port(port, WHO)
    world.units.change(UNITS[component], active=ActiveState.INACTIVE, main_pid=0)
    world.units.fail(UnitVerb.START, UNITS[component])
    outcome = world.reconcile()
    assert outcome.result is Result.FAILED
    assert f"port {port} is held by {WHO}" in str(outcome.failure)
    findings = {one.check: one for one in doctor.examine(world.ports, world.reconciler, None)}
    assert f"port {port} is held by {WHO}" in findings["ports"].found


def test_a_hub_that_starts_and_does_not_get_its_port_says_who_has_it(world: World) -> None:
    world.take_port(8081, WHO)
    world.units.change(UNITS[Component.HUB], active=ActiveState.INACTIVE, main_pid=0)
    world.probe.serve(f"http://{GATEWAY}:8081/hub/api/health", 404)
    assert f"port 8081 is held by {WHO}" in str(world.reconcile().failure)
