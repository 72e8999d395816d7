"""Which slots to make and which to let go of. Pure: what is there and what is asked for in, a Plan out.

- A server has as many slots as `schedule.wanted` says, no more than `max`, and no more than memory allows.
- Slots that are wrong (of another recipe), too old, or made before the image was proven, go when as many right
  ones are ready as are wanted, so that an edit which is taken back finds its slots again, and nobody meets an
  empty pool because slots grow old.
- When memory runs out, slots are evicted, the newest first: those have cost users least waiting so far, and the
  oldest are the ones that are handed out next. Users' servers are not slots any more and are never evicted.
- While users' servers start, nothing is made: on a busy machine a slot in the making costs them more time than
  it saves somebody later. But users who never stop coming must not keep the pool empty: after PAUSE_AT_MOST_S,
  one at a time is made. A lecture is no exception: when its students come, the pool is full or too late.
"""

from __future__ import annotations

import datetime
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from hubagent.backoff import Backoff
from hubagent.config.model import Warm
from hubagent.pool import schedule
from hubagent.pool.events import Eviction
from hubagent.pool.slots import WAITING, Phase, Slot

PAUSE_AFTER_START_S: Final = 2.0
"""So long after the last start of a server nothing is made: its page is loading."""

PAUSE_AT_MOST_S: Final = 20.0

AT_ONCE: Final = 1
AT_ONCE_FOR_LECTURE: Final = 2
"""Slots in the making at the same time."""

FALLBACK_SLOT_BYTES: Final = 300 * 1024**2
"""What a slot is taken to need before one was measured: JupyterLab and a waiting kernel."""

FALLBACK_REFILL_S: Final = 8.0
"""How long making a slot is taken to last before one was measured."""

RESERVE_SHARE: Final = 0.1
RESERVE_AT_LEAST_BYTES: Final = 256 * 1024**2
"""Memory that slots leave free, for the servers that users start cold and for those that grow."""

FIRST_BACKOFF_S: Final = 5.0
LONGEST_BACKOFF_S: Final = 600.0

DEAREST_BACKOFF: Final = 6.0
"""So many times what a try has cost is waited at most, where that is longer: what can never be ready takes a seventh of
one processor then."""


@dataclass(frozen=True, slots=True)
class Memory:
    """Of the machine, in bytes."""

    total: int
    available: int  # MemAvailable: what can be had without swapping

    @property
    def reserve(self) -> int:
        return max(RESERVE_AT_LEAST_BYTES, round(self.total * RESERVE_SHARE))


@dataclass(frozen=True, slots=True)
class Demand:
    """One server that has `warm`."""

    server: str
    warm: Warm
    recipe: str | None  # None when it cannot be told: the image is not on this machine
    proven: bool = True  # it is known what this image's server needs
    can_make: bool = True  # its image is there, and it is not backing off
    refill_s: float = FALLBACK_REFILL_S
    slot_bytes: int = FALLBACK_SLOT_BYTES


@dataclass(frozen=True, slots=True)
class Now:
    """What a plan is made from. `now_s` is unix time."""

    now_s: float
    demands: Sequence[Demand]
    slots: Sequence[Slot]
    memory: Memory
    paused: bool = False  # users' servers start, see `pauses`
    zone: datetime.tzinfo | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    make: tuple[str, ...] = ()  # servers, one for each slot to begin now
    retire: tuple[tuple[str, Eviction], ...] = ()  # slot ids
    desired: Mapping[str, int] = field(default_factory=dict)
    """By server: slots wanted, of which some may have to wait for memory."""


def plan(now: Now) -> Plan:
    """The next small step; what follows from it is for the next one."""
    retire = dict.fromkeys(_evicted(now), Eviction.MEMORY)
    is_short = bool(retire)
    known = {demand.server for demand in now.demands}
    waiting = [slot for slot in now.slots if slot.phase in WAITING and slot.id not in retire]
    retire |= {slot.id: Eviction.RECIPE for slot in waiting if slot.server not in known}
    pools = [
        _Pool(demand, [slot for slot in waiting if slot.server == demand.server], now)
        for demand in now.demands
    ]
    for pool in pools:
        retire |= pool.unwanted()
    make: tuple[str, ...] = ()
    if not (is_short or now.paused):
        make, starved = _affordable(now, pools, {pool.demand.server: pool.to_make(retire) for pool in pools})
        for pool in starved:
            retire |= pool.in_the_way(retire)
    return Plan(make, tuple(retire.items()), {pool.demand.server: pool.wanted for pool in pools})


def busy(*, pending: int, ended_s: float) -> bool:
    """Whether servers start now: so many do, and so long ago the last start has ended."""
    return pending > 0 or ended_s < PAUSE_AFTER_START_S


def pauses(*, pending: int, ended_s: float, paused_s: float) -> bool:
    """Whether making slots waits for users; it has waited without a break for `paused_s` already."""
    return busy(pending=pending, ended_s=ended_s) and paused_s < PAUSE_AT_MOST_S


def backoff_s(failures: int, *, cost_s: float = 0.0) -> float:
    """How long to wait after so many failures in a row (1 or more), of which the last has cost so much: at first as
    long as it took, then twice as long each time."""
    return Backoff(
        first_s=max(FIRST_BACKOFF_S, cost_s), most_s=max(LONGEST_BACKOFF_S, DEAREST_BACKOFF * cost_s)
    ).delay_s(failures)


class _Pool:
    """The waiting slots of one server, judged."""

    def __init__(self, demand: Demand, slots: Sequence[Slot], now: Now) -> None:
        warm = demand.warm
        self.demand = demand
        self._slots = slots
        wrong = [slot for slot in slots if demand.recipe not in (None, slot.recipe)]
        fitting = [slot for slot in slots if slot not in wrong]
        unproven = [slot for slot in fitting if demand.proven and not slot.proven]
        old = [slot for slot in fitting if slot.ready_s and now.now_s - slot.ready_s > warm.max_age_s]
        self.fresh = [slot for slot in fitting if slot not in old and slot not in unproven]
        # Those that will be missed least come first: what nobody can claim, then what waited longest.
        self._outworn = {slot.id: Eviction.RECIPE for slot in sorted(wrong, key=_least_missed)}
        self._outworn |= {slot.id: Eviction.RECIPE for slot in sorted(unproven, key=_least_missed)}
        self._outworn |= {slot.id: Eviction.AGE for slot in sorted(old, key=_least_missed)}
        self.wanted = min(
            warm.max,
            schedule.wanted(warm, now.now_s, have=len(self.fresh), refill_s=demand.refill_s, zone=now.zone),
        )
        self._worth_keeping = min(
            warm.max,
            schedule.worth_keeping(warm, now.now_s, refill_s=demand.refill_s, zone=now.zone),
        )

    @property
    def missing(self) -> int:
        """Slots to make, as far as `max` and the past allow."""
        return max(0, self.wanted - len(self.fresh)) if self.demand.can_make else 0

    def to_make(self, retired: Mapping[str, Eviction]) -> int:
        """How many of those have a place beside what stays."""
        stay = sum(slot.id not in retired for slot in self._slots)
        return max(0, min(self.missing, self.demand.warm.max - stay))

    @property
    def is_for_lecture(self) -> bool:
        return self.wanted > self.demand.warm.ready

    def unwanted(self) -> dict[str, Eviction]:
        """Outworn ones that have been replaced, or whose place their replacement needs, and what is too much. The
        next replacement needs a place when the one before is ready."""
        surplus = max(0, len(self.fresh) - self._worth_keeping)
        # What is not ready yet goes before what is: somebody may click now.
        least = sorted(self.fresh, key=lambda slot: (slot.phase is Phase.READY, _newest_first(slot)))
        kept = least[surplus:]
        ready = sum(slot.phase is Phase.READY for slot in kept)
        place = 1 if self.missing and ready == len(kept) else 0
        places = self.demand.warm.max - len(kept) - place
        stay = min(max(0, self.wanted - ready), max(0, places))
        going = list(self._outworn.items())
        too_many = {slot.id: Eviction.SURPLUS for slot in least[:surplus]}
        return dict(going[: max(0, len(going) - stay)]) | too_many

    def in_the_way(self, retired: Mapping[str, Eviction]) -> dict[str, Eviction]:
        """One outworn slot, to give its memory to its replacement."""
        left = [(slot, why) for slot, why in self._outworn.items() if slot not in retired]
        return dict(left[:1])


def _least_missed(slot: Slot) -> tuple[bool, float, str]:
    return slot.phase is Phase.READY, slot.created_s, slot.id


def _newest_first(slot: Slot) -> tuple[float, str]:
    return -(slot.ready_s or slot.created_s), slot.id


def _evicted(now: Now) -> list[str]:
    """Slots that go because memory runs out: the newest first, as many as make up for what is missing."""
    short = now.memory.reserve // 2 - now.memory.available
    bytes_of = {demand.server: demand.slot_bytes for demand in now.demands}
    going: list[str] = []
    for slot in sorted((slot for slot in now.slots if slot.phase in WAITING), key=_newest_first):
        if short <= 0:
            break
        going.append(slot.id)
        short -= bytes_of.get(slot.server, FALLBACK_SLOT_BYTES)
    return going


def _affordable(
    now: Now, pools: Sequence[_Pool], to_make: Mapping[str, int]
) -> tuple[tuple[str, ...], list[_Pool]]:
    """The servers to begin a slot for, the emptiest first; and those for which there is no memory. `to_make`: how
    many have a place, by server."""
    bytes_of = {pool.demand.server: pool.demand.slot_bytes for pool in pools}
    growing = [slot for slot in now.slots if slot.phase in (Phase.CREATING, Phase.WARMING)]
    free = now.memory.available - now.memory.reserve
    free -= sum(bytes_of.get(slot.server, FALLBACK_SLOT_BYTES) for slot in growing)
    short_of = [pool for pool in pools if to_make[pool.demand.server]]
    places = AT_ONCE_FOR_LECTURE if any(pool.is_for_lecture for pool in short_of) else AT_ONCE
    make: list[str] = []
    starved: list[_Pool] = []
    while short_of and len(growing) + len(make) < places:
        pool = min(short_of, key=lambda one: len(one.fresh) + make.count(one.demand.server))
        if free < pool.demand.slot_bytes:
            short_of.remove(pool)
            starved.append(pool)
            continue
        make.append(pool.demand.server)
        free -= pool.demand.slot_bytes
        if make.count(pool.demand.server) == to_make[pool.demand.server]:
            short_of.remove(pool)
    return tuple(make), starved
