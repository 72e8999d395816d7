"""The difference between desired and observed as ordered steps, each with the mildest verb and its permission. Pure."""

from __future__ import annotations

import datetime
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from hubagent.codec import json_object
from hubagent.config.made.changes import Change
from hubagent.config.model import Config, Disruptive, Drift, Window
from hubagent.converge.intent import Order
from hubagent.ladder import Level
from hubagent.ports import ActiveState
from hubagent.render.generation import Desired
from hubagent.state.model import ClosedPort, Component, Observed, Plan, Step, Verb
from hubagent.state.status import Problem, Reason


@dataclass(frozen=True, slots=True)
class Policy:
    """What the plan may do on its own."""

    drift: Drift = Drift.FIX
    allow_disruption: bool = False


_RESTART = {
    Component.NGINX: (Verb.RELOAD, Level.NGINX_RELOAD, "serves an older configuration"),
    Component.FIREWALL: (Verb.RELOAD, Level.NOTHING, "has older rules"),
    Component.PROXY: (Verb.RESTART, Level.PROXY_RESTART, "runs with older settings"),
    Component.HUB: (Verb.RESTART, Level.HUB_RESTART, "runs with an older hub.json"),
}
# Seconds in which a unit that is up may not have said yet what it loaded. A hub that brings its database up
# to date takes longest.
_STARTING_S = {Component.HUB: 90.0, Component.PROXY: 15.0}
# nginx comes before the hub: it is judged in a tenth of a second, and a bad one then costs no hub restart.
_ORDER = (Component.FIREWALL, Component.PROXY, Component.NGINX, Component.HUB)
_NO_NEWS: Mapping[Component, str] = {}


def plan(
    desired: Desired,
    observed: Observed,
    policy: Policy,
    *,
    next_generation: int,
    statics: Mapping[str, bytes],
    changes: tuple[Change, ...] = (),
    news: Mapping[Component, str] = _NO_NEWS,
) -> Plan:
    """Steps from `observed` to `desired`; empty when there is nothing to do. `news` are the reasons of steps that
    bring more than another value of a key.

    With drift: warn, what an administrator changed by hand while the wished generation was already in
    force is left alone (see `drift` for the words); a new generation is still applied whole.
    """
    new = observed.digest != desired.digest
    repair = new or policy.drift is Drift.FIX
    generation = next_generation if new or (observed.damaged and repair) else None
    steps: list[Step] = []
    pending: list[Step] = []
    if repair:
        steps += [
            Step(_owner_of(path), Verb.WRITE, Level.NOTHING, f"{path} is not as hubagent wrote it")
            for path, content in statics.items()
            if observed.statics.get(path) != content
        ]
    if desired.metrics != observed.metrics:
        steps.append(Step(Component.METRICS, Verb.RELOAD, Level.NOTHING, _metrics(desired, observed)))
    for component in _ORDER:
        for step in _component_steps(component, desired, observed, repair=repair, news=news):
            (pending if step.level.drops_websockets and not policy.allow_disruption else steps).append(step)
    steps += _docker_steps(observed, statics)
    restarted = any(step.component is Component.PROXY for step in steps)
    answers = observed.runs(Component.PROXY) and Component.PROXY not in observed.closed
    if observed.runs(Component.HUB) and (restarted or (answers and not observed.hub_route)):
        steps.append(Step(Component.PROXY, Verb.RESYNC, Level.NOTHING, "the proxy has lost its routes"))
    if generation is not None and not steps and not pending:
        steps.append(Step(Component.HUB, Verb.NONE, Level.NEXT_SPAWN, "servers started from now on use it"))
    return Plan(generation, tuple(steps), tuple(pending), changes)


def _docker_steps(observed: Observed, statics: Mapping[str, bytes]) -> Iterator[Step]:
    """Docker reads what was written when it is told to. A setting that was taken away it keeps until it starts anew,
    which is soon enough, and too late where it could not start because of it."""
    for path, content in statics.items():
        if _owner_of(path) is not Component.DOCKER:
            continue
        if observed.live_restore is False and json_object(content).get("live-restore") is True:
            reason = "containers should survive a restart of Docker"
            yield Step(Component.DOCKER, Verb.RELOAD, Level.NOTHING, reason)
        elif observed.docker_failed and observed.statics.get(path) != content:
            reason = "it could not start with live-restore in a swarm"
            yield Step(Component.DOCKER, Verb.START, Level.NOTHING, reason)


def _component_steps(
    component: Component,
    desired: Desired,
    observed: Observed,
    *,
    repair: bool,
    news: Mapping[Component, str],
) -> Iterator[Step]:
    unit = observed.units.get(component)
    if unit is None or observed.masked(component):
        return
    if unit.active in (ActiveState.INACTIVE, ActiveState.FAILED):
        if repair:
            yield Step(component, Verb.START, Level.NOTHING, f"{unit.name} is {unit.active.value}")
        return
    wanted, loaded = desired.markers[component], observed.loaded.get(component)
    verb, level, reason = _RESTART[component]
    if component in observed.altered:
        if repair:
            yield Step(component, verb, level, observed.altered[component])
        return
    if loaded == wanted:
        closed = observed.closed.get(component)
        if closed is not None and not closed.holder:
            # Nobody came by a port that is not there; by its others somebody may.
            yield Step(
                component,
                Verb.RESTART,
                level if closed.users else Level.NOTHING,
                f"{unit.name} {closed.words}",
            )
        elif component is Component.NGINX and observed.certificate not in (
            None,
            desired.certificate.fingerprint_sha256,
        ):
            yield Step(
                component, verb, level, f"{unit.name} serves another certificate than the generation's"
            )
        elif component in observed.outdated:
            yield Step(component, verb, level, f"{unit.name} {observed.outdated[component]}")
        return
    is_starting = observed.monotonic_s - unit.active_since_s < _STARTING_S.get(component, 0.0)
    if loaded is None and is_starting and observed.markers.get(component) == wanted:
        return  # somebody has just started it; it loads what is in force, and the next checks see to it
    yield Step(component, verb, level, news.get(component) or f"{unit.name} {reason}")


def drift(desired: Desired, observed: Observed, statics: Mapping[str, bytes]) -> Mapping[Component, str]:
    """What was changed by hand while the wished generation is in force, in words, by component."""
    if observed.digest != desired.digest:
        return {}
    found: dict[Component, str] = {}
    for path in observed.damaged:
        found[_owner_of(path)] = f"{path} was changed by hand"
    for path, content in statics.items():
        if observed.statics.get(path) != content:
            found[_owner_of(path)] = f"{path} was changed by hand"
    for component, unit in observed.units.items():
        if unit.active in (ActiveState.INACTIVE, ActiveState.FAILED) and not observed.masked(component):
            found[component] = f"{unit.name} is {unit.active.value}"
        elif component in observed.altered:
            found[component] = observed.altered[component]
    return found


def _metrics(desired: Desired, observed: Observed) -> str:
    listen = desired.metrics.listen
    if observed.metrics is None or observed.metrics.listen != listen:
        return f"metrics move to {listen}"
    return f"the metrics on {listen} have other users or another certificate file"


def _owner_of(path: str) -> Component:
    if "docker" in path:
        return Component.DOCKER
    for component in (Component.PROXY, Component.FIREWALL, Component.NGINX):
        if component.value in path:
            return component
    return Component.HUB


def may_disrupt(config: Config, order: Order, now_s: float) -> bool:
    """Whether steps that drop websockets may be taken now (unix seconds)."""
    apply = config.apply
    if order.allow_disruption or apply.disruptive is Disruptive.ALWAYS:
        return True
    return (
        apply.disruptive is Disruptive.WINDOW and apply.window is not None and _is_within(apply.window, now_s)
    )


def refusal(order: Order, observed: Observed) -> str:
    """Why an order is not carried out at all; empty when it may be."""
    masked = [
        observed.units[component].name
        for component in (Component.PROXY, Component.HUB)
        if order.new_tokens and observed.masked(component)
    ]
    if not masked:
        return ""
    names = " and ".join(masked)
    return (
        f"tokens are replaced in proxy and hub together, and {names} is masked: `systemctl unmask` it first"
    )


def noteworthy(config: Config, observed: Observed, by_hand: Mapping[Component, str]) -> tuple[Problem, ...]:
    """What a person should know although nothing is done about it."""
    masked = [
        Problem(
            component,
            Reason.MASKED,
            f"{unit.name} is masked; hubagent leaves it alone until `systemctl unmask`",
        )
        for component, unit in observed.units.items()
        if observed.masked(component)
    ]
    closed = [
        Problem(component, Reason.PORT, f"{observed.units[component].name} {port.words}; {_remedy(port)}")
        for component, port in observed.closed.items()
        if port.holder or port.users
    ]
    if config.apply.drift is not Drift.WARN:
        return (*masked, *closed)
    left = [
        Problem(component, Reason.DRIFT, f"{what}; left alone (apply.drift: warn)")
        for component, what in by_hand.items()
    ]
    return (*masked, *closed, *left)


def _remedy(closed: ClosedPort) -> str:
    if closed.holder:
        return "stop that program; the service then gets its port back by itself"
    return (
        f"a restart would end {closed.users} open connections, so it waits for "
        "`hubagent apply --allow-disruption`"
    )


def _is_within(window: Window, unix_s: float) -> bool:
    """Whether this moment, in the server's time zone, lies in the window (start included, end not)."""
    now = datetime.datetime.fromtimestamp(unix_s, tz=datetime.UTC).astimezone()
    minute = now.hour * 60 + now.minute
    start = window.start.hour * 60 + window.start.minute
    end = window.end.hour * 60 + window.end.minute
    if start <= end:
        return start <= minute < end
    return minute >= start or minute < end
