"""The hub of a soak: its configuration, which events change, its admin, and when it is at rest."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final
from urllib.parse import urlsplit

from tests.machine.client import Person
from tests.machine.hub import Hub, until
from tests.machine.rig import WaitTimeout
from tests.machine.slots import Waiting

COURSE: Final = "course"
PLAIN: Final = "plain"
SLOTS: Final = 2
CALM_S: Final = 240.0
_ADMIN_PASSWORD: Final = "a rather long one 9"

# What an editor may leave behind: not YAML, an unknown key, a wrong type, nothing at all, a cut-off file.
BAD: Final = (
    "hub: {signup: open\n",
    "hubs: {signup: open}\n",
    "servers: {course: {memory: plenty}}\n",
    "",
    "servers:\n  course:\n    image:\n    memory: [\n",
)


@dataclass(frozen=True, slots=True)
class Values:
    """What the good edits change."""

    memory_mb: int = 640
    max_body_mb: int = 100
    min_length: int = 10

    def text(self) -> str:
        """The whole of /etc/hubagent.yaml."""
        return f"""\
hub:
  signup: open
  ask_email: false
  stop_idle_after: 0
  passwords: {{min_length: {self.min_length}}}
servers:
  {COURSE}:
    image: hubagent/julia
    memory: {self.memory_mb}M
    mounts:
      - {{from: /srv/coursefiles, to: /home/jovyan/work/coursefiles, mode: ro}}
    warm: {{ready: {SLOTS}, max: 4, kernels: {{python: 1}}, pluto: false}}
  {PLAIN}:
    title: Without slots
    image: hubagent/julia
    memory: 640M
nginx:
  max_body: {self.max_body_mb}M
"""


class Site(Waiting):
    """The hub with that configuration."""

    def calm(self) -> None:
        """Wait until the file that is there is in force, everything runs, and slots wait."""
        until_nothing(self.unrest, CALM_S, "calm")

    def unrest(self) -> str:
        """What is not yet as it should be, in words; empty when at rest."""
        try:
            sha256 = hashlib.sha256(self.hub.config().encode()).hexdigest()
            status = self.hub.status()
            if self.hub.get("/hub/api/health")[0] != 200:
                return "the hub is not healthy"
        except (OSError, ValueError, AssertionError, RuntimeError) as error:
            return repr(error)
        faults = {
            "the agent has not looked at today's file": status["config_sha256"] != sha256,
            f"the last result is {status['result']}": status["result"] not in ("ok", "noop"),
            f"problems: {status['problems']}": bool(status["problems"]),
            f"pending: {status['pending']}": bool(status["pending"]),
            "no message bus": not status["dbus_up"],
        }
        said = [words for words, holds in faults.items() if holds]
        if not said and len(self.ready_slots()) < SLOTS:
            said = [f"{len(self.ready_slots())} slots of {SLOTS} wait"]
        return "; ".join(said)

    def accepts(self, text: str) -> str:
        """Empty as soon as the agent has refused the file whose content this is, and said why."""
        try:
            status = self.hub.status()
        except (ValueError, RuntimeError) as error:
            return repr(error)
        if status["config_sha256"] != hashlib.sha256(text.encode()).hexdigest():
            return "the agent has not looked at it"
        return "" if status["config_errors"] else "the agent says nothing against it"

    def routes(self) -> list[str]:
        """The proxy's routes, by their paths."""
        ask = (
            'curl -sf -H "Authorization: token $(cat /var/lib/hubagent/current/proxy/token)" '
            "127.0.0.1:8001/api/routes"
        )
        return sorted(json.loads(self.hub.machine.run(["sh", "-c", ask]).stdout))


def admin(hub: Hub) -> Person:
    """The first admin, signed in by the one-time password that `hubagent first-login` shows."""
    shown = hub.machine.run(["hubagent", "first-login"], check=False).stdout
    found = re.search(r"First login as admin: (\S+)", shown)
    assert found is not None, shown
    person = Person(hub, "admin", found[1])
    page = urlsplit(
        person.submit("/hub/login?next=/hub/home", username=person.name, password=person.password).url
    )
    assert page.path == "/hub/new-password", page
    person.submit(f"{page.path}?{page.query}", password=_ADMIN_PASSWORD, password_again=_ADMIN_PASSWORD)
    person.password = _ADMIN_PASSWORD
    assert person.servers() == {}, "signing in has started a server"
    return person


def until_nothing(missing: Callable[[], str], timeout_s: float, what: str) -> None:
    """Wait until `missing` says nothing any more; WaitTimeout with its last words when it goes on for too long."""
    said = ""

    def is_done() -> bool:
        nonlocal said
        said = missing()
        return not said

    try:
        until(is_done, timeout_s, what)
    except WaitTimeout as error:
        raise WaitTimeout(f"{error}: {said}") from None
