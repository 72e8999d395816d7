"""Events as they are done: by people over the hub's API, by the administrator's editor, by systemd."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import replace
from functools import partial
from typing import Final

import requests

from tests.machine.client import Person
from tests.soak.events import PEOPLE, Done, Event, Kind
from tests.soak.site import BAD, COURSE, PLAIN, Site, Values, until_nothing

PATIENCE_S: Final = 240.0
"""For a start or stop, in which a hub, a Docker and an agent may all have to come back."""
REFUSED_S: Final = 90.0
_COMMAND_S: Final = 150.0

_TROUBLE: Final = (requests.RequestException, AssertionError, ValueError)
"""What a hub that is just being restarted lets happen."""


class Actions:
    """Does events, one after the other; starts and stops go on beside the next ones, each person's in order."""

    def __init__(self, site: Site, admin: Person, people: Sequence[Person], begun_s: float) -> None:
        self.done: list[Done] = []
        self._site = site
        self._admin = admin
        self._people = {person.name: person for person in people}
        self._begun_s = begun_s
        self._values = Values()
        self._pool = ThreadPoolExecutor(len(PEOPLE) + 1)
        self._busy: dict[str, Future[None]] = {}
        self._lock = threading.Lock()

    def do(self, event: Event) -> None:
        """Returns when the next event may begin."""
        names = (*event.people, self._admin.name) if event.kind is Kind.CULL else event.people
        wait([self._busy[name] for name in names if name in self._busy])
        if event.kind is Kind.CULL:
            future = self._pool.submit(self._noted, event.kind, lambda: self._cull(event.people))
            self._busy.update(dict.fromkeys(names, future))
        elif event.people:
            for name in event.people:
                self._busy[name] = self._pool.submit(self._noted, event.kind, self._of(event.kind, name))
        else:
            self._noted(event.kind, lambda: self._to_the_machine(event))

    def finish(self) -> None:
        """Wait for all starts and stops that are under way."""
        wait(self._busy.values())

    def stop_all(self) -> None:
        """Everybody's server."""
        self.finish()
        for name, person in self._people.items():
            self._busy[name] = self._pool.submit(self._noted, Kind.STOP, partial(_stop, person, person))
        self.finish()
        self._pool.shutdown()

    def _of(self, kind: Kind, name: str) -> Callable[[], None]:
        person = self._people[name]
        if kind is Kind.STOP:
            return lambda: _stop(person, person)
        return lambda: _start(person, PLAIN if kind is Kind.START_COLD else COURSE)

    def _cull(self, names: Sequence[str]) -> None:
        for name in names:
            _stop(self._people[name], self._admin)

    def _noted(self, kind: Kind, action: Callable[[], None]) -> None:
        begun_s = time.monotonic()
        problem = ""
        try:
            action()
        except Exception as error:  # whatever it is, it is what this soak is after
            problem = f"{type(error).__name__}: {error}"
        done = Done(begun_s - self._begun_s, kind, time.monotonic() - begun_s, problem)
        with self._lock:
            self.done.append(done)
        print(f"{done.at_s:7.1f} s  {kind.value}: {problem or f'{done.took_s:.1f} s'}", flush=True)

    # -- the machine

    def _to_the_machine(self, event: Event) -> None:
        commands = {
            Kind.KILL_AGENT: ("kill", "-s", "KILL", "hubagent"),
            Kind.KILL_HUB: ("kill", "-s", "KILL", "jupyterhub"),
            Kind.KILL_HOMES: ("kill", "-s", "KILL", "hubagent-homes"),
            Kind.RESTART_DOCKER: ("restart", "docker"),
            Kind.RESTART_BUS: ("restart", "dbus"),
            Kind.DAEMON_RELOAD: ("daemon-reload",),
        }
        if event.kind in commands:
            self._site.hub.machine.run(["systemctl", *commands[event.kind]], timeout_s=_COMMAND_S)
        elif event.kind is Kind.EDIT_BAD:
            self._bad_edit(BAD[event.choice % len(BAD)])
        else:
            self._edit(event)

    def _edit(self, event: Event) -> None:
        """Another value than the one in the file."""
        values, step = self._values, 1 + event.choice % 20
        if event.kind is Kind.EDIT_NGINX:
            values = replace(values, max_body_mb=100 + (values.max_body_mb - 100 + step) % 400)
        elif event.kind is Kind.EDIT_SERVERS:
            values = replace(values, memory_mb=640 + (values.memory_mb - 640 + step) % 100)
        else:
            values = replace(values, min_length=8 + (values.min_length - 8 + 1 + event.choice % 7) % 8)
        self._values = values
        self._site.hub.edit(values.text())

    def _bad_edit(self, text: str) -> None:
        """It is refused by name, and then put right."""
        self._site.hub.edit(text)
        try:
            until_nothing(lambda: self._site.accepts(text), REFUSED_S, "the bad file refused")
        finally:
            self._site.hub.edit(self._values.text())


def _start(person: Person, server: str) -> None:
    """As somebody does it who tries again while the page says that something is wrong; until the server answers."""

    def missing() -> str:
        try:
            mine = person.servers().get("")
            if mine is not None and mine["ready"]:
                person.enter()
                return "" if person.answers() else "it is ready and does not answer"
            if mine is None or mine["pending"] is None:
                answer = person.ask_for_server(server)
                return f"asked for it: {answer.status_code} {answer.text[:200]}"
        except _TROUBLE as error:
            return repr(error)[:300]
        return f"{mine['pending']} is pending"

    until_nothing(missing, PATIENCE_S, f"{person.name}'s server")


def _stop(person: Person, by: Person) -> None:
    """By themselves or by an admin; until the hub knows no server of this person."""

    def missing() -> str:
        try:
            servers = by.servers(of=person.name)
            if not servers:
                return ""
            if servers[""]["pending"] is None:
                answer = by.ask_for_end(of=person.name)
                return f"asked for it: {answer.status_code} {answer.text[:200]}"
        except _TROUBLE as error:
            return repr(error)[:300]
        return f"{servers['']['pending']} is pending"

    until_nothing(missing, PATIENCE_S, f"the end of {person.name}'s server")
