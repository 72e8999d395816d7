"""What happens in a soak, in which order: pure, and the same for the same seed."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Final

PEOPLE: Final = tuple(f"student{number}" for number in range(1, 6))


class Kind(Enum):
    """One kind of event; the value is how the report calls it."""

    EDIT_SERVERS = "edit of `servers`: slots are replaced"
    EDIT_NGINX = "edit of `nginx`: reload"
    EDIT_HUB = "edit of `hub`: hub restart"
    EDIT_BAD = "bad edit, put right afterwards"
    START_WARM = "start of a server that has slots"
    START_COLD = "start of a server that has none"
    CLAIMS_AT_ONCE = "three people start at once"
    STOP = "stop"
    CULL = "stop by an admin over the hub's API"
    KILL_AGENT = "kill -9 hubagent"
    KILL_HUB = "kill -9 jupyterhub"
    KILL_HOMES = "kill -9 hubagent-homes"
    RESTART_DOCKER = "restart of docker"
    RESTART_BUS = "restart of dbus"
    DAEMON_RELOAD = "systemctl daemon-reload"


FAULTS: Final = frozenset(
    {
        Kind.KILL_AGENT,
        Kind.KILL_HUB,
        Kind.KILL_HOMES,
        Kind.RESTART_DOCKER,
        Kind.RESTART_BUS,
        Kind.DAEMON_RELOAD,
    }
)
ENDS_WHAT_IS_SAMPLED: Final = frozenset({Kind.KILL_AGENT, Kind.KILL_HOMES})
"""After the first third of a soak these are left out, so that what a process keeps has the time to show."""

_A_ROUND: Final = (
    (Kind.EDIT_SERVERS, 1),
    (Kind.EDIT_NGINX, 2),
    (Kind.EDIT_HUB, 1),
    (Kind.EDIT_BAD, 2),
    (Kind.START_WARM, 4),
    (Kind.START_COLD, 2),
    (Kind.CLAIMS_AT_ONCE, 1),
    (Kind.STOP, 3),
    (Kind.CULL, 1),
    (Kind.KILL_AGENT, 1),
    (Kind.KILL_HUB, 1),
    (Kind.KILL_HOMES, 1),
    (Kind.RESTART_DOCKER, 1),
    (Kind.RESTART_BUS, 1),
    (Kind.DAEMON_RELOAD, 1),
)
_AT_ONCE: Final = 3
_PAUSE_S: Final = 2.0


@dataclass(frozen=True, slots=True)
class Event:
    """`people` act or are acted on; `choice` is any number that the kind makes something of; then `pause_s` seconds."""

    kind: Kind
    people: tuple[str, ...]
    choice: int
    pause_s: float


@dataclass(frozen=True, slots=True)
class Done:
    """One event as it went; `problem` is empty when it went well. `at_s` is since the beginning of the soak."""

    at_s: float
    kind: Kind
    took_s: float
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Calm:
    """The end of a round: how long it then took until everything was as the file says."""

    at_s: float
    took_s: float
    problem: str = ""


def rounds(seed: int) -> Iterator[tuple[Event, ...]]:
    """Without end: rounds in which every kind occurs. Somebody is stopped first where everyone's server runs and
    another one is to start, and the other way round."""
    source = random.Random(seed)
    running: set[str] = set()
    while True:
        kinds = [kind for kind, times in _A_ROUND for _ in range(times)]
        source.shuffle(kinds)
        yield tuple(event for kind in kinds for event in _events(kind, running, source))


def _events(kind: Kind, running: set[str], source: random.Random) -> Iterator[Event]:
    """One event of this kind, after those that make it possible; `running` is kept up to date."""

    def event(kind: Kind, people: tuple[str, ...] = ()) -> Event:
        return Event(kind, people, source.randrange(1000), round(source.uniform(0, _PAUSE_S), 2))

    if kind in (Kind.START_WARM, Kind.START_COLD, Kind.CLAIMS_AT_ONCE):
        wanted = _AT_ONCE if kind is Kind.CLAIMS_AT_ONCE else 1
        idle = sorted(set(PEOPLE) - running)
        while len(idle) < wanted:
            leaver = source.choice(sorted(running))
            running.remove(leaver)
            idle = sorted([*idle, leaver])
            yield event(Kind.STOP, (leaver,))
        starters = tuple(source.sample(idle, wanted))
        running.update(starters)
        yield event(kind, starters)
    elif kind in (Kind.STOP, Kind.CULL):
        if not running:
            starter = source.choice(PEOPLE)
            running.add(starter)
            yield event(Kind.START_WARM, (starter,))
        leaving = tuple(source.sample(sorted(running), 1 if kind is Kind.STOP else min(2, len(running))))
        running.difference_update(leaving)
        yield event(kind, leaving)
    else:
        yield event(kind)
