"""What doctor finds of nginx's connections."""

from __future__ import annotations

import dataclasses

import pytest

from hubagent.converge.doctor import Finding, examine
from hubagent.state.status import Figures
from tests.unit.converge.world import World


def _connections(users: int | None, have: int | None) -> Finding:
    world = World()
    world.machine.nginx_limit = have
    status = dataclasses.replace(world.survey.status(world.reconcile()), figures=Figures(hub_users=users))
    findings = examine(world.ports, world.reconciler, status)
    return next(one for one in findings if one.check == "nginx connections")


@pytest.mark.parametrize(("users", "have"), [(500, 5000), (None, 10), (500, None)])
def test_enough_connections_or_unknown_ones_are_fine(users: int | None, have: int | None) -> None:
    assert _connections(users, have).ok


def test_too_few_connections_come_with_the_number_that_is_needed() -> None:
    finding = _connections(500, 1536)
    assert not finding.ok
    assert finding.found.startswith("1536 for 500 users")
    assert "worker_connections until all workers together have 5000" in finding.remedy


@pytest.mark.parametrize(
    ("addresses", "is_ok", "said"),
    [
        ({"192.0.2.1": True}, True, "hub.example.org"),
        ({}, False, "has no DNS entry"),
        ({"203.0.113.5": False}, True, "resolves to 203.0.113.5, which is not this machine"),
        (None, True, "could not look up"),
    ],
)
def test_a_name_that_leads_nowhere_is_found(
    addresses: dict[str, bool] | None, is_ok: bool, said: str
) -> None:
    world = World()
    world.reconcile()
    world.machine.names["hub.example.org"] = addresses
    finding = next(one for one in examine(world.ports, world.reconciler, None) if one.check == "host")
    assert finding.ok is is_ok
    assert said in finding.found
    assert bool(finding.remedy) is not is_ok
