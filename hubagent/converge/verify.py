"""Success is judged from outside: markers, answers and stable units, never a finished job alone."""

from __future__ import annotations

from collections.abc import Callable

from hubagent.converge.observe import MARKER_PATH, UNITS, Observer
from hubagent.converge.tools import Tools
from hubagent.errors import TemporaryError, VerifyError
from hubagent.layout import HUB_PORT, PROXY_PORT
from hubagent.ports import ActiveState, UnitState
from hubagent.state.desired import Desired
from hubagent.state.model import Component, Step, Verb

# Seconds. nginx answers a good reload within 0.13 s; a hub that upgrades its database takes longest.
DEADLINE_S = {Component.NGINX: 5.0, Component.FIREWALL: 5.0, Component.PROXY: 8.0, Component.HUB: 60.0}
STABLE_S = 2.0
_POLL_S = {Component.NGINX: 0.004}
_DEFAULT_POLL_S = 0.05
_UNIT_EVERY_S = 0.25
_JUST_NOW_S = 15.0


class Verifier:
    """Waits until a component does what the generation asks for, or says why it does not."""

    def __init__(self, tools: Tools, observer: Observer) -> None:
        self._tools = tools
        self._observer = observer

    def after(self, step: Step, desired: Desired) -> None:
        """Judge the component of a step just taken. VerifyError within its deadline."""
        if step.component not in UNITS or step.verb not in (Verb.START, Verb.RELOAD, Verb.RESTART):
            return
        self.component(step.component, desired, stable=step.verb is not Verb.RELOAD)

    def component(self, component: Component, desired: Desired, *, stable: bool) -> None:
        """Wait for the component to serve `desired`; with `stable`, see it stay up for STABLE_S."""
        deadline_s = self._tools.clock.monotonic() + DEADLINE_S[component]
        while True:
            self._serves(component, desired, deadline_s)
            if not stable or component is Component.FIREWALL or self._stays_up(component):
                return

    def _serves(self, component: Component, desired: Desired, deadline_s: float) -> None:
        """Return once it does. VerifyError at the deadline, or when it ended by itself."""
        clock = self._tools.clock
        baseline = self._tools.units.unit(UNITS[component]).restarts
        next_unit_s = 0.0
        missing = ""
        while True:
            missing = self._missing(component, desired)
            now = clock.monotonic()
            if not missing:
                break
            if now >= next_unit_s:
                baseline = self._alive(component, baseline)
                next_unit_s = now + _UNIT_EVERY_S
            if now >= deadline_s:
                why = f" ({self._nginx_hint()})" if component is Component.NGINX else ""
                raise VerifyError(f"{UNITS[component]}: {missing} within {DEADLINE_S[component]:.0f} s{why}")
            clock.sleep(_POLL_S.get(component, _DEFAULT_POLL_S))

    def _missing(self, component: Component, desired: Desired) -> str:
        """What is still missing, in words; empty when all is there."""
        checks: dict[Component, Callable[[Desired], str]] = {
            Component.NGINX: self._nginx,
            Component.HUB: self._hub,
            Component.PROXY: self._proxy,
        }
        unit = self._tools.units.unit(UNITS[component]) if component is not Component.NGINX else None
        if unit is not None and self._observer.loaded(component, unit) != desired.markers[component]:
            return f"has not loaded {'its rules' if component is Component.FIREWALL else 'its new settings'}"
        if unit is not None and self._observer.outdated(component, unit):
            return "has not loaded its new programs"
        return checks[component](desired) if component in checks else ""

    def _nginx(self, desired: Desired) -> str:
        if self._observer.nginx_marker() != desired.markers[Component.NGINX]:
            return "does not serve the new configuration"
        host = desired.host or "localhost"
        answer = self._ask(f"https://{host}{MARKER_PATH}", connect_to="127.0.0.1")
        if answer is None:
            return "does not answer on port 443"
        status, certificate = answer
        if status != 200 or certificate != desired.certificate.fingerprint_sha256:
            return "does not serve the configured certificate"
        return ""

    def _hub(self, desired: Desired) -> str:
        answer = self._ask(f"http://{desired.gateway}:{HUB_PORT}/hub/api/health")
        return "" if answer is not None and answer[0] == 200 else "does not answer on /hub/api/health"

    def _proxy(self, desired: Desired) -> str:
        answer = self._ask(f"http://127.0.0.1:{PROXY_PORT}/_chp_healthz")
        if answer is None or answer[0] != 200:
            return "does not answer on /_chp_healthz"
        return "" if self._observer.routes() is not None else "does not take the token of its API"

    def _ask(self, url: str, *, connect_to: str | None = None) -> tuple[int, str | None] | None:
        try:
            answer = self._tools.probe.request(url, connect_to=connect_to)
        except TemporaryError:
            return None
        return answer.status, answer.certificate_sha256

    def _alive(self, component: Component, restarts: int) -> int:
        """How many restarts say nothing against the generation. VerifyError for any other."""
        unit = self._tools.units.unit(UNITS[component])
        if _was_killed(unit):
            return unit.restarts + 1
        if unit.active is ActiveState.FAILED or unit.restarts > restarts:
            raise VerifyError(
                f"{unit.name} does not stay up (result: {unit.result}); see journalctl -u {unit.name} -n 50"
            )
        return restarts

    def _stays_up(self, component: Component) -> bool:
        """Whether it did; False when somebody killed it. VerifyError when it ended by itself."""
        clock = self._tools.clock
        first = self._tools.units.unit(UNITS[component])
        until = clock.monotonic() + STABLE_S
        while clock.monotonic() < until:
            clock.sleep(_UNIT_EVERY_S)
            now = self._tools.units.unit(UNITS[component])
            if _was_killed(now):
                return False
            if now.active is not ActiveState.ACTIVE or now.main_pid != first.main_pid:
                raise VerifyError(
                    f"{now.name} did not stay up for {STABLE_S:.0f} s; see journalctl -u {now.name} -n 50"
                )
        return True

    def _nginx_hint(self) -> str:
        """Why nginx does not do as it was told, as well as can be known."""
        complaint = self._tools.machine.nginx_complaint(self._tools.clock.time() - _JUST_NOW_S)
        holders = {port: self._tools.machine.listener(port) for port in (80, 443)}
        others = (
            []
            if self._nginx_runs()
            else [f"port {port} is held by {who}" for port, who in holders.items() if who]
        )
        hints = [complaint] if complaint else others
        return "; ".join(hints) or "see journalctl -u nginx and /var/log/nginx/error.log"

    def _nginx_runs(self) -> bool:
        return self._tools.units.unit(UNITS[Component.NGINX]).active is ActiveState.ACTIVE


def _was_killed(unit: UnitState) -> bool:
    """By a signal from outside, and systemd is about to start it again: no settings of ours do that."""
    return unit.result == "signal" and unit.active is ActiveState.ACTIVATING
