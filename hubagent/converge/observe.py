"""One check of the machine: ports in, a frozen Observed out. Which builds run, and who listens where, are part of it.

Packages carry a file `release` (packaging/release.sh) with version and hash of their programs. A service copies
it into its `loaded` file, below the marker of its settings, when it starts; an upgrade leaves the running one alone.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent.config.model import Metrics
from hubagent.converge import surroundings
from hubagent.converge.generations import Generations
from hubagent.converge.ports import Ports
from hubagent.converge.surroundings import DockerFacts
from hubagent.errors import HubagentError, TemporaryError
from hubagent.layout import (
    FIREWALL,
    HUB,
    HUB_PORT,
    NGINX,
    PORT_HOLDER,
    PROXY,
    PROXY_API_PORT,
    PROXY_METRICS_PORT,
    PROXY_PORT,
)
from hubagent.ports import EngineFacts, JobResult, Listener, UnitState, UnitVerb
from hubagent.state.model import ClosedPort, Component, Observed

UNITS: Mapping[Component, str] = {
    Component.FIREWALL: FIREWALL,
    Component.PROXY: PROXY,
    Component.NGINX: NGINX,
    Component.HUB: HUB,
}
_CERTIFICATE_S = 15.0
MARKER_PATH = "/-/hubagent"
_LOADED = {Component.HUB: "run/jupyterhub/loaded", Component.PROXY: "run/configurable-http-proxy/loaded"}
_HUB_NOTICE = "run/jupyterhub/notice"
_RELEASES = {
    Component.HUB: "usr/lib/hubagent-jupyterhub/release",
    Component.PROXY: "usr/lib/hubagent-proxy/release",
}

_LOOPBACK: Final = "127.0.0.1"
_ANY: Final = "0.0.0.0"  # noqa: S104 (what others listen on)
_ANYWHERE: Final = frozenset({_ANY, "::"})
_STARTING_S: Final = 15.0
"""So long a proxy that has just been started may need for its ports."""

_ASKED_FOR_S: Final = 10.0
_MAX_HOLDER_BYTES: Final = 4096

_RELEASE = re.compile(r"([0-9A-Za-z.+~:-]{1,64}) ([0-9a-f]{64})")


class Observer:
    """Reads the machine; never changes anything. UnitError when systemd does not answer."""

    def __init__(
        self,
        ports: Ports,
        generations: Generations,
        *,
        version: str,
        served_metrics: Callable[[], Metrics | None],
    ) -> None:
        """`served_metrics` is where our own metrics are served now; None when they are not."""
        self._ports = ports
        self._served_metrics = served_metrics
        self._version = version  # the agent's own
        self._generations = generations
        self._listening = Listening(ports)
        self._right = ""  # certificate, seen with nginx
        self._right_until_s = 0.0
        self._incurable: str | None = None
        self.docker = DockerFacts(ports)

    def observe(self, *, statics: Iterable[str], engine: EngineFacts | None) -> Observed:
        in_force = self._generations.in_force()
        units = {component: self._ports.units.unit(name) for component, name in UNITS.items()}
        routes = self.routes()
        filter_fault = surroundings.rules_fault(self._ports)
        return Observed(
            generation=in_force.number if in_force else None,
            digest=in_force.digest if in_force else None,
            markers=in_force.markers if in_force else {},
            damaged=in_force.damaged if in_force else (),
            statics={path: self._content(Path(path)) for path in statics},
            units=units,
            loaded={component: self.loaded(component, units[component]) for component in UNITS},
            routes=len(routes) if routes is not None else None,
            hub_route=_has_hub_route(routes),
            metrics=self._served_metrics(),
            live_restore=None if engine is None else engine.live_restore,
            docker_failed=engine is None and self.docker.has_failed(),
            altered={Component.FIREWALL: filter_fault} if filter_fault else {},
            outdated=self._outdated(units),
            certificate=self._served(),
            closed=self._listening.closed(units, has_routes=routes is not None),
            monotonic_s=self._ports.clock.monotonic(),
        )

    def in_vain(self, observed: Observed) -> None:
        """A reload has not put right which certificate is served: no other is tried for the same one."""
        self._incurable = observed.certificate

    def _served(self) -> str | None:
        """The certificate with the name that is in force. While it is the right one it is asked for seldom: a
        handshake is expensive, and what the agent itself has changed is judged where it changes it."""
        now_s = self._ports.clock.monotonic()
        try:
            in_force = self._generations.desired()
            if in_force is None:
                return None
            right = in_force.certificate.fingerprint_sha256
            if self._right != right or self._right_until_s <= now_s:
                url = f"https://{in_force.host or 'localhost'}{MARKER_PATH}"
                found = self._ports.probe.request(url, connect_to="127.0.0.1").certificate_sha256
                if found != right:
                    return found if found != self._incurable else None
                self._right, self._right_until_s = right, now_s + _CERTIFICATE_S
        except HubagentError:
            return None
        return right

    def loaded(self, component: Component, unit: UnitState) -> str | None:
        """The marker of what the running consumer has loaded; None when it is not running."""
        if component is Component.NGINX:
            return self.nginx_marker()
        if component is Component.FIREWALL:
            return surroundings.loaded_rules(self._ports)
        if unit.main_pid == 0:
            return None
        return self._line(_LOADED[component], 0) or None

    def hub_notices(self) -> tuple[str, ...]:
        """What the hub said when it started that a person should know."""
        content = self._content(self._ports.layout.root / _HUB_NOTICE) or b""
        return tuple(content.decode(errors="replace").splitlines())

    def outdated(self, component: Component, unit: UnitState) -> str:
        """That another build of it is installed than the one that runs, in words; else empty."""
        if component not in _RELEASES or unit.main_pid == 0:
            return ""
        running = parse_release(self._line(_LOADED[component], 1))
        installed = parse_release(self._line(_RELEASES[component], 0))
        return behind(running, installed, agent_version=self._version)

    def _outdated(self, units: Mapping[Component, UnitState]) -> dict[Component, str]:
        return {one: words for one, unit in units.items() if (words := self.outdated(one, unit))}

    def nginx_marker(self) -> str | None:
        """What nginx answers on a fresh connection; on port 80, where no name has to match."""
        try:
            answer = self._ports.probe.request(f"http://127.0.0.1{MARKER_PATH}")
        except TemporaryError:
            return None
        return answer.body.decode("ascii", "replace").strip() if answer.status == 200 else None

    def routes(self) -> dict[str, object] | None:
        """Routes in the proxy; None when it does not answer."""
        try:
            token = self._content(self._ports.layout.current / "proxy/token") or b""
            answer = self._ports.probe.request(
                f"http://127.0.0.1:{PROXY_API_PORT}/api/routes",
                headers={"Authorization": f"token {token.decode()}"},
            )
            found = json.loads(answer.body) if answer.status == 200 else None
        except (HubagentError, ValueError, RecursionError):
            return None
        return found if isinstance(found, dict) else None

    def _line(self, path: str, number: int) -> str:
        """One line of a small file; empty when it has no such line."""
        content = self._content(self._ports.layout.root / path) or b""
        lines = content.decode("ascii", "replace").splitlines()
        return lines[number].strip() if number < len(lines) else ""

    def _content(self, path: Path) -> bytes | None:
        state = self._ports.files.read(path, max_bytes=4 * 1024**2)
        return None if state is None else state.content


def _has_hub_route(routes: dict[str, object] | None) -> bool:
    """The hub marks its route; the proxy's own default target is a route without the mark."""
    route = (routes or {}).get("/")
    return isinstance(route, dict) and bool(route.get("hub"))


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
        return self._who_listens(port) if self._there(address, port) else ""

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
            return self._ports.probe.request(f"http://{_LOOPBACK}:{PROXY_PORT}/_chp_healthz").status == 200
        except HubagentError:
            return False

    def _who_listens(self, port: int) -> str:
        """Program, pid and unit of whoever listens on this port, in words for a person. The agent may not look into
        others' processes, so a unit that may do only that is asked."""
        ports = self._ports
        try:
            done = ports.units.run(UnitVerb.START, PORT_HOLDER.format(port=port), timeout_s=_ASKED_FOR_S)
            state = ports.files.read(ports.layout.port_holder, max_bytes=_MAX_HOLDER_BYTES)
        except HubagentError:
            done, state = JobResult.FAILED, None
        told = state.content.decode(errors="replace").strip() if state and done is JobResult.DONE else ""
        return told or ports.machine.listener(port) or "another program"


@dataclass(frozen=True, slots=True)
class Release:
    """One build of a package."""

    version: str
    digest: str  # hex sha256 over its files: another version with the same files is no other release


def parse_release(text: str) -> Release | None:
    """One line of a `release` file; None when it is none."""
    match = _RELEASE.fullmatch(text.strip())
    return Release(match[1], match[2]) if match else None


def behind(running: Release | None, installed: Release | None, *, agent_version: str) -> str:
    """What is old, in words; empty when nothing is.

    Nothing is said of an installed release that is not of the agent's own version: then an upgrade is under
    way, and what it brings together belongs together.
    """
    if installed is None or installed.version != agent_version:
        return ""
    if running is not None and running.digest == installed.digest:
        return ""
    if running is None or running.version == installed.version:
        return f"runs an older build than the installed {installed.version}"
    return f"runs {running.version}, {installed.version} is installed"
