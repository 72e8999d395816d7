"""What people meet now, for a Status: the login page through nginx, the certificate with it, the hub's database."""

from __future__ import annotations

from dataclasses import dataclass

from hubagent.converge import door
from hubagent.converge.door import Door
from hubagent.converge.observe import UNITS, Listening
from hubagent.converge.ports import Ports
from hubagent.errors import HubagentError
from hubagent.render.generation import Desired
from hubagent.state.model import Component
from hubagent.state.status import Problem, Reason

_BEHIND_NGINX = (502, 503, 504)
"""What nginx answers in the place of a proxy or a hub that does not."""


@dataclass(frozen=True, slots=True)
class Entrance:
    """Asked at once, and told until it is asked again."""

    problems: tuple[Problem, ...] = ()

    @property
    def is_the_hubs(self) -> bool:
        """Whether it is the hub that listens on the hub's port, as far as is known."""
        return not any((one.component, one.reason) == (Component.HUB, Reason.PORT) for one in self.problems)

    def component(self, component: Component) -> str:
        """What is wrong with it as people meet it; empty when nothing is."""
        return next((one.message for one in self.problems if one.component is component), "")


def ask(ports: Ports, in_force: Desired) -> Entrance:
    """Three requests at most, each with a deadline. Never raises."""
    entrance = Door(ports.probe)
    way_in = _way_in(ports, entrance, in_force)
    behind = _not_the_hub(ports, in_force) or _database(entrance, in_force)
    return Entrance((*way_in, *behind))


def _not_the_hub(ports: Ports, in_force: Desired) -> tuple[Problem, ...]:
    """Somebody else has the hub's port: who listens there is not to see the agent's token."""
    try:
        unit = ports.units.unit(UNITS[Component.HUB])
    except HubagentError:
        return ()
    taken = Listening(ports).taken(Component.HUB, unit, in_force.gateway)
    return (Problem(Component.HUB, Reason.PORT, f"{unit.name}: {taken}; stop that program"),) if taken else ()


def _way_in(ports: Ports, entrance: Door, in_force: Desired) -> tuple[Problem, ...]:
    url = f"{entrance.front(in_force).base}{door.LOGIN}"
    try:
        answer = entrance.knock(in_force)
    except HubagentError as error:
        who = _stopped(ports)
        return (Problem(who or Component.NGINX, Reason.DOOR, f"users cannot get in: {error}{_let_go(who)}"),)
    problems = []
    if answer.certificate_sha256 != in_force.certificate.fingerprint_sha256:
        words = f"{url} is served with another certificate than the generation's"
        remedy = "does another server block of nginx have this name?"
        problems.append(Problem(Component.NGINX, Reason.CERTIFICATE, f"{words}; {remedy}"))
    wrong = door.fault(answer, in_force)
    if wrong:
        who = _stopped(ports) if answer.status in _BEHIND_NGINX else None
        at = who or (Component.NGINX if wrong.startswith(door.NOT_OURS) else Component.HUB)
        problems.append(
            Problem(
                at,
                Reason.DOOR,
                f"users cannot get in: {url}: {wrong}{_let_go(who) or _said(entrance, in_force)}",
            )
        )
    return tuple(problems)


def _database(entrance: Door, in_force: Desired) -> tuple[Problem, ...]:
    """The hub is asked on a connection of its own, and by a question of JupyterHub's that needs its session."""
    try:
        health = entrance.health(in_force)
        status = entrance.token_works(in_force)
    except HubagentError as error:
        return (
            Problem(
                Component.HUB, Reason.DATABASE, f"the hub did not report whether its database works: {error}"
            ),
        )
    if health is not None and health.database:
        return (
            Problem(Component.HUB, Reason.DATABASE, f"the hub's database cannot be used: {health.database}"),
        )
    if status != 200:  # a hub that cannot look a token up takes it for a wrong one
        words = f"the hub answers {status} to a request that needs its database"
        return (
            Problem(Component.HUB, Reason.DATABASE, f"{words}{_because(health.error if health else '')}"),
        )
    return ()


def _said(entrance: Door, in_force: Desired) -> str:
    try:
        health = entrance.health(in_force)
    except HubagentError:
        return ""
    return _because(health.error if health else "")


def _because(error: str) -> str:
    return f": {error}" if error else ""


def _stopped(ports: Ports) -> Component | None:
    """Of the services on the way the one whose process somebody has stopped: it holds its port and answers nobody."""
    for component in (Component.NGINX, Component.PROXY, Component.HUB):
        try:
            process = ports.machine.process(ports.units.unit(UNITS[component]).main_pid)
        except HubagentError:
            return None
        if process is not None and process.is_stopped:
            return component
    return None


def _let_go(component: Component | None) -> str:
    if component is None:
        return ""
    unit = UNITS[component]
    return f"; {unit} was stopped by a signal: `systemctl kill --signal=CONT {unit}` lets it continue"
