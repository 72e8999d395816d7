"""Success is judged from outside: markers, answers and stable units, never a finished job alone."""

from __future__ import annotations

from collections.abc import Callable

from hubagent.converge.complaint import first_error, secrets_in
from hubagent.converge.door import Door
from hubagent.converge.observe import MARKER_PATH, UNITS, Listening, Observer
from hubagent.converge.ports import Ports
from hubagent.converge.retry import Allowance
from hubagent.errors import DeadlineError, HubagentError, TemporaryError, UnitError, VerifyError
from hubagent.layout import HUB_PORT, PROXY_PORT
from hubagent.ports import ActiveState, UnitState
from hubagent.render.generation import HUB_SECRETS_FILE, PROXY_TOKEN_FILE, Desired
from hubagent.state.model import Component, Step, Verb

# Seconds. nginx answers a good reload within 0.13 s; a hub that upgrades its database takes longest.
DEADLINE_S = {Component.NGINX: 5.0, Component.FIREWALL: 5.0, Component.PROXY: 8.0, Component.HUB: 60.0}
MOST_S = {Component.NGINX: 20.0, Component.FIREWALL: 40.0, Component.PROXY: 64.0, Component.HUB: 240.0}
"""What the deadlines may grow to on a machine that is too busy for them."""

_FACTOR = {
    Component.NGINX: 8
}  # at once to the most: an nginx that answers as before all that time was not told

STABLE_S = 2.0
PAGES_S = 5.0  # until an answer that is wrong is taken to stay so
PAGES_LATE_S = 30.0  # until a page that comes in milliseconds is taken for one that does not come
_PAGES_POLL_S = 0.25
_POLL_S = {Component.NGINX: 0.004}
_DEFAULT_POLL_S = 0.05
_UNIT_EVERY_S = 0.25
_JUST_NOW_S = 15.0
_OLD_CONFIGURATION = "does not serve the new configuration"
_OTHER_CERTIFICATE = "does not serve the configured certificate"
_OTHER_TOKEN = "does not take the token of its API"  # noqa: S105 (says so, and is none)
_WRONG_ANSWERS = (_OTHER_CERTIFICATE, _OTHER_TOKEN)


class Verifier:
    """Waits until a component does what the generation asks for, or says why it does not."""

    def __init__(self, ports: Ports, observer: Observer) -> None:
        self._ports = ports
        self._observer = observer
        self._listening = Listening(ports)
        self._door = Door(ports.probe)
        self._allowances = {
            one: Allowance(DEADLINE_S[one], most_s=MOST_S[one], factor=_FACTOR.get(one, 2)) for one in UNITS
        }

    def after(self, step: Step, desired: Desired) -> None:
        """Judge the component of a step just taken, within its deadline. VerifyError when it serves something else
        or ended by itself; DeadlineError when it does not answer yet and nothing speaks against it."""
        if step.component not in UNITS or step.verb not in (Verb.START, Verb.RELOAD, Verb.RESTART):
            return
        self.component(step.component, desired, stable=step.verb is not Verb.RELOAD)
        if step.component is Component.HUB:
            self._people_come_in(desired)

    def component(self, component: Component, desired: Desired, *, stable: bool) -> None:
        """Wait for the component to serve `desired`; with `stable`, see it stay up for STABLE_S."""
        clock, allowance = self._ports.clock, self._allowances[component]
        begun_s, since_s = clock.monotonic(), clock.time() - _JUST_NOW_S
        deadline_s = begun_s + allowance.allowed_s
        while True:
            self._serves(component, desired, deadline_s, since_s)
            served_s = clock.monotonic()
            if not stable or component is Component.FIREWALL or self._stays_up(component, desired, since_s):
                allowance.met(served_s - begun_s)
                return

    def complaint(self, component: Component, desired: Desired, *, since_s: float) -> str:
        """What its unit's program itself says of its fault, logged from `since_s` (unix seconds) on, without the
        generation's secrets; else where to look."""
        unit = UNITS.get(component, f"{component.value}.service")
        files = (HUB_SECRETS_FILE, PROXY_TOKEN_FILE)
        hidden = [text for path in files for text in _secret_texts(desired.file(path).content)]
        said = first_error(self._ports.machine.journal(unit, since_s), hidden)
        return f"{said} (journalctl -u {unit} -n 50)" if said else f"see journalctl -u {unit} -n 50"

    def _serves(self, component: Component, desired: Desired, deadline_s: float, since_s: float) -> None:
        """Return once it does. VerifyError when it ended by itself, or at the deadline for what it does instead;
        DeadlineError when it does nothing yet."""
        clock = self._ports.clock
        baseline = self._ports.units.unit(UNITS[component]).restarts
        next_unit_s = 0.0
        missing = ""
        while True:
            missing = self._missing(component, desired)
            now = clock.monotonic()
            if not missing:
                break
            if now >= next_unit_s:
                baseline = self._alive(component, baseline, desired, since_s)
                next_unit_s = now + _UNIT_EVERY_S
            if now >= deadline_s:
                raise self._too_late(component, desired, missing)
            clock.sleep(_POLL_S.get(component, _DEFAULT_POLL_S))

    def _too_late(self, component: Component, desired: Desired, missing: str) -> VerifyError | DeadlineError:
        """At the deadline: is there something that speaks against the generation?"""
        allowance, unit = self._allowances[component], UNITS[component]
        hint = self._hint(component, desired)
        is_wrong = missing in _WRONG_ANSWERS or (missing == _OLD_CONFIGURATION and allowance.is_at_its_end)
        if hint or is_wrong:
            within = f"within {allowance.allowed_s:.0f} s"
            return VerifyError(
                f"{unit}: {missing} {within} ({hint})" if hint else f"{unit}: {missing} {within}"
            )
        return DeadlineError(f"{unit}: {missing} {allowance.ran_out()}")

    def _missing(self, component: Component, desired: Desired) -> str:
        """What is still missing, in words; empty when all is there."""
        checks: dict[Component, Callable[[Desired], str]] = {
            Component.NGINX: self._nginx,
            Component.HUB: self._hub,
            Component.PROXY: self._proxy,
        }
        unit = self._ports.units.unit(UNITS[component]) if component is not Component.NGINX else None
        if unit is not None and self._observer.loaded(component, unit) != desired.markers[component]:
            return f"has not loaded {'its rules' if component is Component.FIREWALL else 'its new settings'}"
        if unit is not None and self._observer.outdated(component, unit):
            return "has not loaded its new programs"
        return checks[component](desired) if component in checks else ""

    def _nginx(self, desired: Desired) -> str:
        marker = self._observer.nginx_marker()
        if marker != desired.markers[Component.NGINX]:
            return "does not answer on port 80" if marker is None else _OLD_CONFIGURATION
        host = desired.host or "localhost"
        answer = self._ask(f"https://{host}{MARKER_PATH}", connect_to="127.0.0.1")
        if answer is None:
            return "does not answer on port 443"
        status, certificate = answer
        if status != 200 or certificate != desired.certificate.fingerprint_sha256:
            return _OTHER_CERTIFICATE
        return ""

    def _hub(self, desired: Desired) -> str:
        answer = self._ask(f"http://{desired.gateway}:{HUB_PORT}/hub/api/health")
        return "" if answer is not None and answer[0] == 200 else "does not answer on /hub/api/health"

    def _proxy(self, desired: Desired) -> str:
        answer = self._ask(f"http://127.0.0.1:{PROXY_PORT}/_chp_healthz")
        if answer is None or answer[0] != 200:
            return "does not answer on /_chp_healthz"
        return "" if self._observer.routes() is not None else _OTHER_TOKEN

    def _ask(self, url: str, *, connect_to: str | None = None) -> tuple[int, str | None] | None:
        try:
            answer = self._ports.probe.request(url, connect_to=connect_to)
        except TemporaryError:
            return None
        return answer.status, answer.certificate_sha256

    def _alive(self, component: Component, restarts: int, desired: Desired, since_s: float) -> int:
        """How many restarts say nothing against the generation. VerifyError for any other."""
        unit = self._ports.units.unit(UNITS[component])
        if _was_killed(unit):
            return unit.restarts + 1
        if unit.active is ActiveState.FAILED or unit.restarts > restarts:
            complaint = self.complaint(component, desired, since_s=since_s)
            raise VerifyError(f"{unit.name} does not stay up: {complaint}")
        return restarts

    def _stays_up(self, component: Component, desired: Desired, since_s: float) -> bool:
        """Whether it did; False when somebody killed it. VerifyError when it ended by itself."""
        clock = self._ports.clock
        first = self._ports.units.unit(UNITS[component])
        until = clock.monotonic() + STABLE_S
        while clock.monotonic() < until:
            clock.sleep(_UNIT_EVERY_S)
            now = self._ports.units.unit(UNITS[component])
            if _was_killed(now):
                return False
            if now.active is not ActiveState.ACTIVE or now.main_pid != first.main_pid:
                complaint = self.complaint(component, desired, since_s=since_s)
                raise VerifyError(f"{now.name} did not stay up for {STABLE_S:.0f} s: {complaint}")
        return True

    def _people_come_in(self, desired: Desired) -> None:
        """Return once the login page comes and, where accounts are ours, a probe can sign in and sees its home.
        VerifyError with the hub's own last error when they do not; DeadlineError when no answer comes.

        Through nginx, unless the hub alone can be judged: what is in nginx's or the proxy's way is not this
        generation's fault."""
        begun_s = self._ports.clock.monotonic()
        while True:
            missing = late = ""
            try:
                missing = self._pages(desired)
            except UnitError:
                raise
            except TemporaryError as error:
                late = str(error)
            took_s = self._ports.clock.monotonic() - begun_s
            if not missing and not late:
                return
            if missing and took_s >= PAGES_S:
                raise VerifyError(f"{UNITS[Component.HUB]}: {missing}{self._hubs_error(desired)}")
            if late and took_s >= PAGES_LATE_S:
                raise DeadlineError(f"{UNITS[Component.HUB]}: {late}, as happens on a busy machine")
            self._ports.clock.sleep(_PAGES_POLL_S)

    def _pages(self, desired: Desired) -> str:
        """What is missing of the pages by which people come in, in words; empty when nothing is."""
        straight = self._door.back(desired)
        missing = self._door.login_page(desired, straight)
        if missing:
            return missing
        through = self._door.front(desired) if self._front_works(desired) else straight
        return self._door.login_page(desired, through) or self._door.sign_in(desired, through)

    def _front_works(self, desired: Desired) -> bool:
        """Whether nginx serves the generation and the proxy answers: then pages that do not come are the hub's."""
        nginx = self._ports.units.unit(UNITS[Component.NGINX])
        return nginx.active is ActiveState.ACTIVE and not self._nginx(desired) and not self._proxy(desired)

    def _hubs_error(self, desired: Desired) -> str:
        try:
            health = self._door.health(desired)
        except HubagentError:
            return ""
        said = (health.database or health.error) if health else ""
        return f": {said}" if said else ""

    def taken(self, component: Component, desired: Desired) -> str:
        """Which of its ports somebody else has, and who, in words; empty when none."""
        if component not in UNITS:
            return ""
        unit = self._ports.units.unit(UNITS[component])
        return self._listening.taken(component, unit, desired.gateway)

    def _hint(self, component: Component, desired: Desired) -> str:
        """Why it does not do as it was told, as well as can be known; empty when nothing is."""
        taken = self.taken(component, desired)
        if component is not Component.NGINX:
            return taken
        complaint = self._ports.machine.nginx_complaint(self._ports.clock.time() - _JUST_NOW_S)
        hints = [hint for hint in (taken, complaint) if hint]
        return "; ".join(hints)


def _was_killed(unit: UnitState) -> bool:
    """By a signal from outside, or for want of memory, and systemd is about to start it again: no settings of ours
    do that."""
    return unit.result in ("signal", "oom-kill") and unit.active is ActiveState.ACTIVATING


def _secret_texts(content: bytes) -> tuple[str, ...]:
    """Of a JSON document, or of a file that is one secret."""
    return secrets_in(content) or (content.decode(errors="replace").strip(),)
