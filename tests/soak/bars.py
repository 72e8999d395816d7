"""What a soak must show, judged by what was seen. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from hubagent.adapters.net.spawn_socket import LIMITS
from tests.soak.background import Failure
from tests.soak.events import Calm, Done, Kind
from tests.soak.samples import AGENT, HOMES, Held, Sample

PARTS: Final = 3
"""Of a soak, of the same number of samples each, that are compared."""

ANSWERS: Final = "spawn"
"""The name of the threads that answer the hub. They grow to what the hub asks at once, LIMITS.workers at most
(hubagent/adapters/net/spawn_socket.py), and leave when they are not needed any more."""
COME_AND_GO: Final = frozenset({ANSWERS, "claim"})
"""hubagent/pool/claims.py takes two threads for a claim, as long as it lasts. All others of the agent begin with it. The
homes helper has one for each request (hubagent/helper/server.py)."""

CONNECTIONS_MORE: Final = {AGENT: 6, HOMES: 0}
"""Connections to Docker that are kept. Six clients of the agent's keep one each (hubagent/adapters/docker/client.py): for users'
containers, quick and slow (containers.py), for the network, for events (docker_engine.py), for images, and for builds
(image_builder.py). The homes helper keeps none."""

MEMORY_MORE_MB: Final = {AGENT: 10.0, HOMES: 3.0}
"""Between processes that have just started and one that has served for half the soak: caches fill and the
allocator rounds up, once. tests/bench/rest.py holds the growth of one process over many edits to 1 MB."""


@dataclass(frozen=True, slots=True)
class Leftovers:
    """What is on the machine when everybody's server is stopped. `slots` are containers that wait ready."""

    slots: frozenset[str]
    containers: frozenset[str]
    guests: int
    places: int
    attached: tuple[str, ...]
    routes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Seen:
    """All of one soak."""

    seed: int
    seconds: float
    suite: str
    asked: int
    longest_answer_s: float
    failures: Sequence[Failure]
    websocket: str
    """What was wrong with it; empty when it stayed open and its kernel went on."""
    done: Sequence[Done]
    calms: Sequence[Calm]
    restarted: Sequence[str]
    """nginx or the proxy, when it is another process at the end."""
    samples: Sequence[Sample]
    leftovers: Leftovers
    trouble: str = ""
    """What ended the soak early; empty when nothing did."""


@dataclass(frozen=True, slots=True)
class Bar:
    what: str
    limit: str
    found: str
    met: bool


def judge(seen: Seen) -> tuple[Bar, ...]:
    """All of them, met or not."""
    left, problems = seen.leftovers, [one for one in seen.done if one.problem]
    missing = [kind.value for kind in Kind if kind not in {one.kind for one in seen.done}]
    restless = [one for one in seen.calms if one.problem]
    strays = left.containers - left.slots
    return (
        _none("soak ran to its end", [seen.trouble] if seen.trouble else []),
        Bar(
            "requests of the background user that failed",
            "0",
            f"{len(seen.failures)} of {seen.asked}",
            not seen.failures and seen.asked > 0,
        ),
        _none(
            "kernel websocket that closed, or whose kernel began anew",
            [seen.websocket] * bool(seen.websocket),
        ),
        _none("events that failed", [f"{one.kind.value}: {one.problem}" for one in problems]),
        _none("kinds of events that did not occur", missing),
        Bar(
            "rounds after which it did not come to rest",
            "0",
            f"{len(restless)} of {len(seen.calms)}",
            bool(seen.calms) and not restless,
        ),
        _none("restarts of nginx or the proxy, which drop websockets", seen.restarted),
        _none("mounts of a home, with everybody's server stopped", left.attached),
        _none("containers that are no waiting slots", sorted(strays)),
        Bar(
            "guests' folders; places for homes",
            f"{len(left.slots)}: the waiting slots",
            f"{left.guests}; {left.places}",
            left.guests == left.places == len(left.slots),
        ),
        _none("routes but the hub's", [route for route in left.routes if route != "/"]),
        Bar("the hub's route", "there", "there" if "/" in left.routes else "absent", "/" in left.routes),
        _most(seen.samples, "threads that answer the hub", LIMITS.workers),
        *(bar for unit in (AGENT, HOMES) for bar in _growth(unit, seen.samples)),
    )


def _none(what: str, found: Sequence[str]) -> Bar:
    return Bar(what, "none", f"{len(found)}: {'; '.join(found)}" if found else "none", not found)


QUANTITIES: Final[Mapping[str, Callable[[Held], float]]] = {
    "connections": lambda held: held.connections,
    "other descriptors": lambda held: held.descriptors - held.connections,
    "threads": lambda held: held.threads,
    "threads that answer the hub": lambda held: held.names.get(ANSWERS, 0),
    "threads that stay": lambda held: held.threads - sum(held.names.get(name, 0) for name in COME_AND_GO),
    "private memory, MB": lambda held: held.private_bytes / 1e6,
}


def part(samples: Sequence[Sample], number: int) -> Sequence[Sample]:
    """By the number of samples; 0 is the first."""
    return samples[len(samples) * number // PARTS : len(samples) * (number + 1) // PARTS]


def values(samples: Sequence[Sample], unit: str, quantity: str) -> list[float]:
    """Of the samples in which the unit ran."""
    return [QUANTITIES[quantity](sample.held[unit]) for sample in samples if unit in sample.held]


def median(samples: Sequence[Sample], unit: str, quantity: str) -> float | None:
    """None when the unit did not run in any of them."""
    found = values(samples, unit, quantity)
    return statistics.median(found) if found else None


def _most(samples: Sequence[Sample], quantity: str, limit: int) -> Bar:
    found = values(samples, AGENT, quantity)
    return Bar(
        f"{AGENT}: {quantity}, the most",
        str(limit),
        f"{max(found):g}" if found else "not known",
        bool(found) and max(found) <= limit,
    )


def _growth(unit: str, samples: Sequence[Sample]) -> tuple[Bar, ...]:
    """Of medians: within the bound, and none any more from the second third to the last."""
    bounds = {
        "connections": CONNECTIONS_MORE[unit],
        "other descriptors": 0,
        "threads that stay": 0,
        "private memory, MB": MEMORY_MORE_MB[unit],
    }
    return (
        *(_between(unit, quantity, samples, 0, limit) for quantity, limit in bounds.items()),
        _between(unit, "connections", samples, 1, 0),
    )


def _between(unit: str, quantity: str, samples: Sequence[Sample], since: int, limit: float) -> Bar:
    """The growth from part number `since` to the last one."""
    first, last = (median(part(samples, number), unit, quantity) for number in (since, PARTS - 1))
    what = f"{unit}: growth of {quantity} from the {('first', 'second')[since]} third to the last"
    if first is None or last is None:
        return Bar(what, f"{limit:g}", "not known", met=False)
    return Bar(what, f"{limit:g}", f"{first:.1f} → {last:.1f}", last - first <= limit)
