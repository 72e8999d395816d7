"""What a soak must show, judged by what was seen. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from tests.soak.background import Failure
from tests.soak.events import Calm, Done, Kind
from tests.soak.samples import AGENT, HOMES, Held, Sample

DESCRIPTORS_MORE: Final = 16
"""Connections to Docker are kept, as many as were used at once so far; a leak of one an edit is hundreds."""
THREADS_MORE: Final = 8
"""What answers the hub grows to as many threads as were asked at once so far, 32 at most, and stays."""
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
        *(bar for unit in (AGENT, HOMES) for bar in _growth(unit, seen.samples)),
    )


def _none(what: str, found: Sequence[str]) -> Bar:
    return Bar(what, "none", f"{len(found)}: {'; '.join(found)}" if found else "none", not found)


QUANTITIES: Final[Mapping[str, Callable[[Held], float]]] = {
    "descriptors": lambda held: held.descriptors,
    "threads": lambda held: held.threads,
    "private memory, MB": lambda held: held.private_bytes / 1e6,
}


def quarter(samples: Sequence[Sample], number: int) -> Sequence[Sample]:
    """By the number of samples; 0 is the first."""
    return samples[len(samples) * number // 4 : len(samples) * (number + 1) // 4]


def median(samples: Sequence[Sample], unit: str, quantity: str) -> float | None:
    """None when the unit did not run in any of them."""
    values = [QUANTITIES[quantity](sample.held[unit]) for sample in samples if unit in sample.held]
    return statistics.median(values) if values else None


def _growth(unit: str, samples: Sequence[Sample]) -> tuple[Bar, ...]:
    """Medians of the last quarter against those of the first."""
    limits = (DESCRIPTORS_MORE, THREADS_MORE, MEMORY_MORE_MB[unit])
    made = []
    for quantity, limit in zip(QUANTITIES, limits, strict=True):
        first, last = (median(quarter(samples, number), unit, quantity) for number in (0, 3))
        known = first is not None and last is not None
        found = f"{first:.1f} → {last:.1f}" if known else "not known"
        made.append(
            Bar(f"{unit}: growth of {quantity}", f"{limit:g}", found, known and last - first <= limit)  # type: ignore[operator]
        )
    return tuple(made)
