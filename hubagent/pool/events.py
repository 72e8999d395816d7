"""What is counted of the warm pool, as closed sets: each value is a metric's label."""

from __future__ import annotations

import enum
from typing import Protocol


class ClaimResult(enum.Enum):
    """How a claim for a server that has `warm` ended."""

    HIT = "hit"
    MISS = "miss"  # no slot was ready
    FAIL = "fail"  # a slot was, and did not become the user's server


class SpawnKind(enum.Enum):
    WARM = "warm"
    COLD = "cold"


class Eviction(enum.Enum):
    """Why a slot that is nobody's is removed."""

    MEMORY = "memory"  # the machine runs out of it
    AGE = "age"  # older than `max_age`
    RECIPE = "recipe"  # made from another image or configuration than today's
    SURPLUS = "surplus"  # more than wanted: the lecture is over, or `ready` was lowered
    HEALTH = "health"  # does not answer, or its container ended


class SlotFailure(enum.Enum):
    """Why a slot did not get ready, or did not stay so."""

    CREATE = "create"  # Docker or the homes helper could not make it
    PROCESSOR = "processor"  # it has computed for too long
    SILENT = "silent"  # it has computed nothing for too long
    TIME = "time"  # it took too long by the clock
    MEMORY = "memory"  # it ran out of memory
    ENDED = "ended"  # its container ended
    HEALTH = "health"  # it was ready and does not answer any more


class PoolRecorder(Protocol):
    """Told of what happens. Methods are safe to call from any thread; durations are seconds."""

    def claim(self, server: str, result: ClaimResult) -> None: ...

    def claim_took(self, duration_s: float) -> None:
        """The agent's own part of a claim that was a hit: without what the server needed to start."""
        ...

    def spawned(self, kind: SpawnKind, duration_s: float) -> None:
        """From the hub's request to the agent's answer: a warm server answers then, a cold one's container
        runs."""
        ...

    def refilled(self, duration_s: float) -> None:
        """A slot got ready, so long after it was begun."""
        ...

    def evicted(self, reason: Eviction) -> None: ...

    def slot_failed(self, server: str, failure: SlotFailure) -> None: ...
