"""What the agent may do unasked, and what it says of the things that it leaves alone. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hubagent.config.model import Config, Disruptive, Drift
from hubagent.converge.outcome import Order
from hubagent.converge.window import contains
from hubagent.state.model import ClosedPort, Component, Observed
from hubagent.state.status import Problem, Reason


def may_disrupt(config: Config, order: Order, now_s: float) -> bool:
    """Whether steps that drop websockets may be taken now (unix seconds)."""
    apply = config.apply
    if order.allow_disruption or apply.disruptive is Disruptive.ALWAYS:
        return True
    return (
        apply.disruptive is Disruptive.WINDOW and apply.window is not None and contains(apply.window, now_s)
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
        return "stop that program, then the port is rolled back automatically"
    return (
        f"a restart would end {closed.users} open connections, so it waits for "
        "`hubagent apply --allow-disruption`"
    )
