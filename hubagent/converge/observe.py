"""One check of the machine: ports in, a frozen Observed out."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from hubagent.config.model import Metrics
from hubagent.converge import release, surroundings
from hubagent.converge.generations import Generations
from hubagent.converge.listening import Listening
from hubagent.converge.ports import Ports
from hubagent.converge.surroundings import DockerFacts
from hubagent.errors import HubagentError, TemporaryError
from hubagent.layout import FIREWALL, HUB, NGINX, PROXY, PROXY_API_PORT
from hubagent.ports import EngineFacts, UnitState
from hubagent.state.model import Component, Observed

UNITS: Mapping[Component, str] = {
    Component.FIREWALL: FIREWALL,
    Component.PROXY: PROXY,
    Component.NGINX: NGINX,
    Component.HUB: HUB,
}
_CERTIFICATE_S = 15.0
MARKER_PATH = "/-/hubagent"
_LOADED = {
    Component.HUB: "run/jupyterhub/loaded",
    Component.PROXY: "run/configurable-http-proxy/loaded",
}
_HUB_NOTICE = "run/jupyterhub/notice"
_RELEASES = {
    Component.HUB: "usr/lib/hubagent-jupyterhub/release",
    Component.PROXY: "usr/lib/hubagent-proxy/release",
}


class Observer:
    """Reads the machine; never changes anything. UnitError when systemd does not answer."""

    def __init__(self, ports: Ports, generations: Generations, *, version: str) -> None:
        self._ports = ports
        self._version = version  # the agent's own
        self._generations = generations
        self._listening = Listening(ports)
        self._right = ""  # certificate, seen with nginx
        self._right_until_s = 0.0
        self._incurable: str | None = None
        self.docker = DockerFacts(ports)

    def observe(
        self, *, statics: Iterable[str], metrics: Metrics | None, engine: EngineFacts | None
    ) -> Observed:
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
            metrics=metrics,
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
        handshake is dear, and what the agent itself has changed is judged where it changes it."""
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
        running = release.parse(self._line(_LOADED[component], 1))
        installed = release.parse(self._line(_RELEASES[component], 0))
        return release.behind(running, installed, agent_version=self._version)

    def _outdated(self, units: Mapping[Component, UnitState]) -> dict[Component, str]:
        found = {component: self.outdated(component, unit) for component, unit in units.items()}
        return {component: words for component, words in found.items() if words}

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
