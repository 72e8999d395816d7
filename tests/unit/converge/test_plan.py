"""The plan takes the mildest step, in order, and nothing when nothing is to do."""

from __future__ import annotations

import dataclasses

import pytest

from hubagent.config.kinds.types import Hostname, ListenAddress, ServerName, Username
from hubagent.config.model import Config, Drift, Hub, Metrics, Nginx, Server, Start
from hubagent.converge.plan import Policy, drift, plan
from hubagent.ladder import Level
from hubagent.ports import ActiveState, LoadState
from hubagent.state.model import Component, Observed, Plan, Verb
from tests.unit.converge.worlds import STATICS, in_shape, wished, with_unit

BEFORE = wished()


def planned(config: Config, observed: Observed | None = None, policy: Policy | None = None) -> Plan:
    return plan(
        wished(config), observed or in_shape(BEFORE), policy or Policy(), next_generation=8, statics=STATICS
    )


def verbs(found: Plan) -> list[tuple[Component, Verb]]:
    return [(step.component, step.verb) for step in found.steps]


def test_nothing_to_do_is_an_empty_plan() -> None:
    found = planned(Config())
    assert found.is_empty
    assert found.pending == ()


EDITS = {
    "max_body": (
        Config(nginx=Nginx(max_body_bytes=1024)),
        [(Component.NGINX, Verb.RELOAD)],
        Level.NGINX_RELOAD,
    ),
    "websocket_drain": (
        Config(nginx=Nginx(websocket_drain_s=60.0)),
        [(Component.NGINX, Verb.RELOAD)],
        Level.NGINX_RELOAD,
    ),
    "memory": (
        Config(
            servers=(Server(name=ServerName("julia"), title="Julia (Jupyter and Pluto)", memory_bytes=2**30),)
        ),
        [(Component.HUB, Verb.NONE)],
        Level.NEXT_SPAWN,
    ),
    "admins": (
        Config(hub=Hub(admins=(Username("admin"), Username("ada")))),
        [(Component.HUB, Verb.RESTART)],
        Level.HUB_RESTART,
    ),
    "metrics": (
        Config(metrics=Metrics(listen=ListenAddress("127.0.0.1", 9999))),
        [(Component.METRICS, Verb.RELOAD)],
        Level.NOTHING,
    ),
    "host": (
        Config(host=Hostname("hub.example.org")),
        [(Component.NGINX, Verb.RELOAD)],
        Level.NGINX_RELOAD,
    ),
    "start": (
        Config(hub=Hub(start=Start.AT_LOGIN)),
        [(Component.HUB, Verb.NONE)],
        Level.NEXT_SPAWN,
    ),
    "landing by a word": (
        Config(hub=Hub(landing="new-notebook")),
        [(Component.HUB, Verb.NONE)],
        Level.NEXT_SPAWN,
    ),
    "landing": (
        Config(hub=Hub(landing="/tree")),
        [(Component.HUB, Verb.NONE)],
        Level.NEXT_SPAWN,
    ),
}


@pytest.mark.parametrize("edit", EDITS)
def test_an_edit_takes_the_mildest_verb(edit: str) -> None:
    config, expected, level = EDITS[edit]
    found = planned(config)
    assert (verbs(found), found.level, found.generation) == (expected, level, 8)


@pytest.mark.parametrize("edit", EDITS)
def test_applying_twice_does_nothing(edit: str) -> None:
    config = EDITS[edit][0]
    assert planned(config, in_shape(wished(config))).is_empty


def test_a_reload_that_failed_once_is_seen_and_repaired_without_being_told() -> None:
    observed = in_shape(BEFORE)
    behind = dataclasses.replace(observed, loaded={**observed.loaded, Component.NGINX: "older"})
    found = planned(Config(), behind)
    assert (verbs(found), found.generation) == ([(Component.NGINX, Verb.RELOAD)], None)


def test_a_proxy_behind_waits_for_leave() -> None:
    observed = in_shape(BEFORE)
    behind = dataclasses.replace(observed, loaded={**observed.loaded, Component.PROXY: "older"})
    waiting = planned(Config(), behind)
    assert waiting.is_empty
    assert [step.level for step in waiting.pending] == [Level.PROXY_RESTART]
    allowed = planned(Config(), behind, Policy(allow_disruption=True))
    assert verbs(allowed) == [(Component.PROXY, Verb.RESTART), (Component.PROXY, Verb.RESYNC)]


@pytest.mark.parametrize("state", [ActiveState.INACTIVE, ActiveState.FAILED])
def test_a_stopped_unit_is_started(state: ActiveState) -> None:
    stopped = with_unit(in_shape(BEFORE), Component.NGINX, active=state, main_pid=0)
    assert verbs(planned(Config(), stopped)) == [(Component.NGINX, Verb.START)]


def test_drift_warn_leaves_what_was_changed_by_hand_and_says_so() -> None:
    stopped = with_unit(in_shape(BEFORE), Component.NGINX, active=ActiveState.INACTIVE)
    damaged = dataclasses.replace(stopped, damaged=("hub/hub.json",))
    assert planned(Config(), damaged, Policy(drift=Drift.WARN)).is_empty
    assert set(drift(BEFORE, damaged, STATICS)) == {Component.NGINX, Component.HUB}
    assert planned(Config(), damaged, Policy(drift=Drift.FIX)).generation == 8


def test_a_masked_unit_is_respected() -> None:
    masked = with_unit(
        in_shape(BEFORE), Component.HUB, load=LoadState.MASKED, active=ActiveState.INACTIVE, main_pid=0
    )
    assert planned(Config(), masked).is_empty


def test_lost_routes_are_put_back() -> None:
    empty = in_shape(BEFORE, routes=0, hub_route=False)
    assert verbs(planned(Config(), empty)) == [(Component.PROXY, Verb.RESYNC)]


def test_a_static_file_changed_by_hand_is_written_again() -> None:
    changed = in_shape(BEFORE, statics={"/etc/nginx/conf.d/hubagent.conf": b"# mine\n"})
    assert verbs(planned(Config(), changed)) == [(Component.NGINX, Verb.WRITE)]


def test_the_first_generation_starts_everything_in_order() -> None:
    fresh = in_shape(
        BEFORE, generation=None, digest=None, loaded=dict.fromkeys(BEFORE.markers), metrics=None,
        statics={}, routes=None, hub_route=False,
    )  # fmt: skip
    for component in tuple(fresh.units):
        fresh = with_unit(fresh, component, active=ActiveState.INACTIVE, main_pid=0)
    assert verbs(planned(Config(), fresh)) == [
        (Component.NGINX, Verb.WRITE),
        (Component.METRICS, Verb.RELOAD),
        (Component.FIREWALL, Verb.START),
        (Component.PROXY, Verb.START),
        (Component.NGINX, Verb.START),
        (Component.HUB, Verb.START),
    ]


@pytest.mark.parametrize(("age_s", "expected"), [(5.0, []), (500.0, [(Component.HUB, Verb.RESTART)])])
def test_a_hub_that_is_still_starting_is_not_restarted(age_s: float, expected: list[object]) -> None:
    observed = in_shape(BEFORE, monotonic_s=1000.0)
    starting = with_unit(observed, Component.HUB, active_since_s=1000.0 - age_s)
    silent = dataclasses.replace(starting, loaded={**observed.loaded, Component.HUB: None})
    assert verbs(planned(Config(), silent)) == expected


def test_a_hub_that_is_still_starting_with_older_settings_is_restarted() -> None:
    """It has read the older ones already: among them the token that the agent would ask it with afterwards."""
    observed = in_shape(BEFORE, monotonic_s=1000.0)
    starting = with_unit(observed, Component.HUB, active_since_s=995.0)
    silent = dataclasses.replace(starting, loaded={**observed.loaded, Component.HUB: None})
    steps = verbs(planned(Config(hub=Hub(admins=(Username("admin"), Username("ada")))), silent))
    assert (Component.HUB, Verb.RESTART) in steps
