"""A hub set up for a course: shared folders, open sign-up, and people who come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeVar

from tests.machine.client import Person
from tests.machine.hub import Hub, until

EMPTY_S = 180.0


@dataclass
class Course:
    """A hub with a configuration of its own, and the people who have signed up to it."""

    hub: Hub
    people: dict[str, Person] = field(default_factory=dict)

    def person(self, name: str, *, running: bool = False) -> Person:
        """Signed in, and on demand with a server that runs."""
        if name not in self.people:
            newcomer = self.people[name] = Person(self.hub, name)
            page = newcomer.sign_up().text
            assert "Your account is ready" in page or "taken" in page  # by themselves, earlier
            newcomer.log_in()
        person = self.people[name]
        if running and not person.servers().get("", {}).get("ready"):
            person.start()
        return person

    def docker(self, *words: str) -> str:
        return self.hub.machine.run(["docker", *words]).stdout

    def inspection(self, container: str) -> dict[str, Any]:
        value = json.loads(self.docker("inspect", container))[0]
        assert isinstance(value, dict)
        return value


Kind = TypeVar("Kind", bound=Course)


@contextmanager
def set_up(kind: type[Kind], hub: Hub, config: str, *, own: str) -> Iterator[Kind]:
    """A Course with `config` in force, with course files in /srv/coursefiles and a folder for all in /srv/shared. `own` is the
    filter (docker ps --filter) of containers that must be gone once the configuration before is back."""
    machine = hub.machine
    machine.run(["sh", "-ec", "install -d /srv/coursefiles; install -d -o 1000 /srv/shared"])
    machine.write("/srv/coursefiles/lecture.txt", "Lecture 1\n")
    before = hub.edit(config)
    _, status = hub.apply("--allow-disruption")
    assert status["result"] in ("ok", "noop"), status["problems"]
    until(lambda: hub.get("/hub/signup")[0] == 200, 60.0, "the sign-up page")
    course = kind(hub)
    yield course
    for person in course.people.values():
        if person.servers():
            person.stop()
        person.close()
    hub.edit(before)
    assert hub.apply("--allow-disruption")[1]["result"] in ("ok", "noop")
    until(lambda: not course.docker("ps", "-aq", "--filter", own), EMPTY_S, f"the end of {own}")
    homes = course.docker("volume", "ls", "-q", "--filter", "label=hubagent.user").split()
    if homes:
        course.docker("volume", "rm", *homes)
    machine.run(["rm", "-r", "/srv/coursefiles", "/srv/shared"])
