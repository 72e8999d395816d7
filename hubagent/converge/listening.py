"""Does a unit that runs listen where it should? Asked of the port first, and of the kernel only when that is silent."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from hubagent.converge.ports import Ports
from hubagent.errors import HubagentError
from hubagent.layout import HUB_PORT, PORT_HOLDER, PROXY_API_PORT, PROXY_METRICS_PORT, PROXY_PORT
from hubagent.ports import JobResult, Listener, UnitState, UnitVerb
from hubagent.state.model import ClosedPort, Component

_LOOPBACK: Final = "127.0.0.1"
_ANY: Final = "0.0.0.0"  # noqa: S104 (what others listen on)
_ANYWHERE: Final = frozenset({_ANY, "::"})
_STARTING_S: Final = 15.0
"""So long a proxy that has just been started may need for its ports."""

_ASKED_FOR_S: Final = 10.0
_MAX_BYTES: Final = 4096


def needed(component: Component, gateway: str) -> tuple[tuple[str, int], ...]:
    """The addresses and ports that this unit has to listen on. `gateway` is the hub's address."""
    if component is Component.NGINX:
        return (_ANY, 80), (_ANY, 443)
    if component is Component.PROXY:
        return tuple((_LOOPBACK, port) for port in (PROXY_PORT, PROXY_API_PORT, PROXY_METRICS_PORT))
    return ((gateway, HUB_PORT),) if component is Component.HUB else ()


class Listening:
    """Reads who listens; never changes anything. Methods never raise for what does not answer."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports

    def closed(
        self, units: Mapping[Component, UnitState], *, has_routes: bool
    ) -> Mapping[Component, ClosedPort]:
        """The proxy without its public port or, when it tells no routes, without its API's.

        Every other unit of ours ends, or is not started, when it does not get its port."""
        unit = units[Component.PROXY]
        age_s = self._ports.clock.monotonic() - unit.active_since_s
        if unit.main_pid == 0 or age_s < _STARTING_S:
            return {}
        suspected = {PROXY_PORT: not self._proxy_answers(), PROXY_API_PORT: not has_routes}
        for port, is_silent in suspected.items():
            if is_silent and not self.is_ours(unit, _LOOPBACK, port):
                holder = self.holder(_LOOPBACK, port)
                users = self._ports.machine.connections(PROXY_PORT)
                return {Component.PROXY: ClosedPort(_LOOPBACK, port, holder, users)}
        return {}

    def is_ours(self, unit: UnitState, address: str, port: int) -> bool:
        """Whether the unit's main process, or one of its user, listens there."""
        main = self._ports.machine.process(unit.main_pid)
        found = self._there(address, port)
        return main is None or any(one.user_id == main.user_id for one in found)

    def holder(self, address: str, port: int) -> str:
        """Who listens there, in words for a person; empty when nobody does."""
        return who_listens(self._ports, port) if self._there(address, port) else ""

    def taken(self, component: Component, unit: UnitState, gateway: str) -> str:
        """Which of the unit's ports somebody else has, and who, in words; empty when none."""
        found = [
            f"port {port} is held by {holder}"
            for address, port in needed(component, gateway)
            if (unit.main_pid == 0 or not self.is_ours(unit, address, port))
            and (holder := self.holder(address, port))
        ]
        return "; ".join(found)

    def _there(self, address: str, port: int) -> list[Listener]:
        """The sockets that a connection to this address may meet."""
        return [one for one in self._ports.machine.listeners(port) if one.address in _ANYWHERE | {address}]

    def _proxy_answers(self) -> bool:
        try:
            url = f"http://{_LOOPBACK}:{PROXY_PORT}/_chp_healthz"
            return self._ports.probe.request(url).status == 200
        except HubagentError:
            return False


def who_listens(ports: Ports, port: int) -> str:
    """Program, pid and unit of whoever listens on this port, in words for a person. The agent may not look into
    others' processes, so a unit that may do only that is asked."""
    try:
        done = ports.units.run(UnitVerb.START, PORT_HOLDER.format(port=port), timeout_s=_ASKED_FOR_S)
        state = ports.files.read(ports.layout.port_holder, max_bytes=_MAX_BYTES)
    except HubagentError:
        done, state = JobResult.FAILED, None
    told = state.content.decode(errors="replace").strip() if state and done is JobResult.DONE else ""
    return told or ports.machine.listener(port) or "another program"
