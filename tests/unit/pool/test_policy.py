"""How many slots, which to make, which to let go of: examples, and what holds for all of them."""

from __future__ import annotations

import dataclasses
from collections import Counter

from hypothesis import given, settings
from hypothesis import strategies as st

from hubagent.config.kinds.types import TimeOfDay
from hubagent.config.model import Lecture, Warm
from hubagent.pool import policy
from hubagent.pool.events import Eviction
from hubagent.pool.policy import Demand, Memory, Now, Plan
from hubagent.pool.slots import WAITING, Phase, Slot

GIB = 1024**3
NOW_S = 1_800_000_000.0
PLENTY = Memory(total=64 * GIB, available=48 * GIB)
SLOT_BYTES = 256 * 1024**2


def slot(number: int, phase: Phase = Phase.READY, *, age_s: float = 100.0, **fields: str) -> Slot:
    made = Slot(
        id=f"{number:012x}",
        server="julia",
        recipe="today",
        phase=phase,
        created_s=NOW_S - age_s - 3,
        ready_s=0.0 if phase in (Phase.CREATING, Phase.WARMING) else NOW_S - age_s,
    )
    return dataclasses.replace(made, **fields)  # type: ignore[arg-type]


def demand(warm: Warm | None = None, *, server: str = "julia", can_make: bool = True) -> Demand:
    return Demand(
        server, warm or Warm(ready=4), recipe="today", can_make=can_make, refill_s=4, slot_bytes=SLOT_BYTES
    )


def plan(*slots: Slot, of: Demand | None = None, memory: Memory = PLENTY, paused: bool = False) -> Plan:
    return policy.plan(Now(NOW_S, (of or demand(),), slots, memory, paused=paused))


def test_an_empty_pool_is_filled_one_by_one() -> None:
    assert plan() == Plan(make=("julia",), desired={"julia": 4})
    assert plan(slot(1, Phase.WARMING)).make == ()


def test_a_full_pool_is_left_alone() -> None:
    assert plan(*map(slot, range(4))) == Plan(desired={"julia": 4})


def test_users_servers_are_not_slots_any_more() -> None:
    taken = [slot(n, Phase.CLAIMED, user="ada") for n in range(50)]
    assert plan(*taken) == Plan(make=("julia",), desired={"julia": 4})


def test_nothing_is_made_while_users_servers_start() -> None:
    assert plan(paused=True) == Plan(desired={"julia": 4})


def test_nothing_is_made_from_an_image_that_is_not_there() -> None:
    assert plan(of=demand(can_make=False)).make == ()


def test_wrong_slots_stay_until_they_are_replaced() -> None:
    wrong = [slot(n, recipe="yesterday") for n in range(4)]
    first = plan(*wrong)
    assert (first.make, first.retire) == (("julia",), ())
    second = plan(*wrong, slot(10))
    assert second.retire == ((wrong[0].id, Eviction.RECIPE),)
    last = plan(*wrong, *(slot(n) for n in range(10, 14)))
    assert dict(last.retire) == {one.id: Eviction.RECIPE for one in wrong}


def test_an_edit_that_is_taken_back_finds_its_slots_again() -> None:
    slots = [slot(n, recipe="yesterday") for n in range(4)]
    assert plan(*slots).retire == ()
    back = dataclasses.replace(demand(), recipe="yesterday")
    assert plan(*slots, slot(9, Phase.WARMING), of=back).retire == ((slot(9).id, Eviction.RECIPE),)


def test_a_full_house_makes_room_for_replacements() -> None:
    wrong = [slot(n, recipe="yesterday") for n in range(4)]
    tight = demand(Warm(ready=4, max=4))
    assert plan(*wrong, of=tight) == Plan(("julia",), ((wrong[0].id, Eviction.RECIPE),), {"julia": 4})


def test_a_starved_machine_gives_a_wrong_slots_memory_to_its_replacement() -> None:
    wrong = [slot(n, recipe="yesterday") for n in range(4)]
    memory = Memory(total=10 * GIB, available=GIB + 1)
    assert plan(*wrong, memory=memory) == Plan((), ((wrong[0].id, Eviction.RECIPE),), {"julia": 4})
    right = [slot(n) for n in range(3)]
    assert plan(*right, memory=memory) == Plan((), (), {"julia": 4})


def test_old_slots_are_replaced_before_they_go() -> None:
    old = [slot(n, age_s=7 * 3600) for n in range(4)]
    assert plan(*old) == Plan(("julia",), (), {"julia": 4})
    assert plan(*old, slot(9)).retire == ((old[0].id, Eviction.AGE),)


def test_slots_from_before_the_proof_are_replaced_once_there_is_one() -> None:
    early = [dataclasses.replace(slot(n), proven=False) for n in range(4)]
    assert plan(*early, of=dataclasses.replace(demand(), proven=False)) == Plan(desired={"julia": 4})
    assert plan(*early) == Plan(("julia",), (), {"julia": 4})
    assert plan(*early, slot(9)).retire == ((early[0].id, Eviction.RECIPE),)


def test_slots_of_a_server_that_is_cold_now_go_at_once() -> None:
    other = slot(1, server="gone")
    assert plan(other, *(slot(n) for n in range(2, 6))).retire == ((other.id, Eviction.RECIPE),)


def test_what_is_too_much_goes_newest_first() -> None:
    many = [slot(n, age_s=100 + n) for n in range(6)]
    assert dict(plan(*many).retire) == {many[0].id: Eviction.SURPLUS, many[1].id: Eviction.SURPLUS}


def test_memory_pressure_evicts_the_newest_and_never_users() -> None:
    ready = [slot(n, age_s=1000 - n) for n in range(4)]
    users = [slot(n, Phase.CLAIMED, user="ada", age_s=1) for n in range(10, 20)]
    becoming = slot(30, Phase.CLAIMING, user="bob", age_s=1)
    memory = Memory(total=10 * GIB, available=GIB // 2 - SLOT_BYTES - 1)
    found = plan(*ready, *users, becoming, memory=memory)
    assert found == Plan((), ((ready[3].id, Eviction.MEMORY), (ready[2].id, Eviction.MEMORY)), {"julia": 4})


def test_slots_under_way_count_for_memory_before_they_have_taken_it() -> None:
    lecture = demand(
        Warm(ready=1, schedule=(Lecture(tuple(range(7)), TimeOfDay(0, 0), TimeOfDay(23, 59), 6),))
    )
    for free_bytes, more in ((SLOT_BYTES, ()), (2 * SLOT_BYTES, ("julia",))):
        memory = Memory(total=10 * GIB, available=GIB + free_bytes)
        assert plan(slot(1, Phase.WARMING), of=lecture, memory=memory).make == more
    assert plan(of=lecture, memory=PLENTY).make == ("julia", "julia"), "two at once for a lecture"
    assert plan(of=lecture, memory=Memory(10 * GIB, GIB + SLOT_BYTES)).make == ("julia",)


def test_the_emptiest_pool_is_filled_first() -> None:
    both = (demand(Warm(ready=40)), demand(Warm(ready=1), server="other"))
    julia = [slot(n) for n in range(3)]
    assert policy.plan(Now(NOW_S, both, julia, PLENTY)).make == ("other",)


def test_back_off_grows_and_is_bounded() -> None:
    delays_s = [policy.backoff_s(failures) for failures in range(1, 2000)]
    assert delays_s[:4] == [5, 10, 20, 40]
    assert delays_s == sorted(delays_s)
    assert delays_s[-1] == policy.LONGEST_BACKOFF_S


def test_what_costs_much_is_tried_less_often() -> None:
    delays_s = [policy.backoff_s(failures, cost_s=300) for failures in range(1, 2000)]
    assert delays_s[:3] == [300, 600, 1200]
    assert delays_s[-1] == 1800, "a seventh of a processor at most"
    assert policy.backoff_s(1, cost_s=1.0) == policy.FIRST_BACKOFF_S


def test_users_come_first_but_not_for_ever() -> None:
    assert policy.pauses(pending=1, ended_s=100, paused_s=0)
    assert policy.pauses(pending=0, ended_s=1.5, paused_s=10)
    assert not policy.pauses(pending=0, ended_s=3, paused_s=0)
    assert not policy.pauses(pending=3, ended_s=1, paused_s=policy.PAUSE_AT_MOST_S)


def test_a_replacement_that_warms_is_waited_for_before_another_slot_goes() -> None:
    """Two are too old, the replacement of the first is not ready, and there is no place for a second."""
    warm = Warm(ready=4, max=5)
    old = [slot(n, age_s=warm.max_age_s + 60) for n in (1, 2)]
    there = (*old, slot(3), slot(4), slot(5, Phase.WARMING))
    assert plan(*there, of=demand(warm)) == Plan(desired={"julia": 4})
    (gone, why), *others = plan(*there[:4], slot(5), of=demand(warm)).retire
    assert (gone, why, others) == (old[0].id, Eviction.AGE, [])


phases = st.sampled_from(list(Phase))
any_slots = st.lists(
    st.tuples(
        phases, st.floats(0, 30_000), st.sampled_from(["today", "yesterday"]), st.sampled_from(["julia", "x"])
    ),
    max_size=12,
).map(
    lambda rows: [
        dataclasses.replace(
            slot(n, phase, age_s=age_s, recipe=recipe, server=server),
            user="" if phase in WAITING else f"user{n}",
        )
        for n, (phase, age_s, recipe, server) in enumerate(rows)
    ]
)
any_warm = st.builds(Warm, ready=st.integers(0, 12), max=st.integers(0, 12))
any_memory = st.builds(Memory, total=st.just(16 * GIB), available=st.integers(0, 16 * GIB))


@settings(max_examples=300, deadline=None)
@given(any_slots, any_warm, any_memory, st.booleans(), st.sampled_from(["today", None]))
def test_of_any_plan(
    slots: list[Slot],
    warm: Warm,
    memory: Memory,
    paused: bool,
    recipe: str | None,
) -> None:
    one = dataclasses.replace(demand(warm), recipe=recipe, can_make=recipe is not None)
    now = Now(NOW_S, (one,), slots, memory, paused=paused)
    found = policy.plan(now)
    by_id = {slot.id: slot for slot in slots}
    retired = {by_id[name] for name, _ in found.retire}
    assert all(slot.phase in WAITING for slot in retired), "a user's server is never evicted"
    assert len(retired) == len(found.retire)
    growing = [slot for slot in slots if slot.phase in (Phase.CREATING, Phase.WARMING)]
    assert len(found.make) <= max(0, policy.AT_ONCE_FOR_LECTURE - len(growing))
    left = [
        slot for slot in slots if slot.phase in WAITING and slot not in retired and slot.server == "julia"
    ]
    assert len(left) + len(found.make) <= warm.max or not found.make
    assert len(left) <= max(warm.max, 0)
    need = SLOT_BYTES * (len(found.make) + sum(slot.server == "julia" for slot in growing))
    assert not found.make or need <= memory.available - memory.reserve
    assert not (paused and found.make)
    evicted = [by_id[name] for name, why in found.retire if why is Eviction.MEMORY]
    stays = [slot for slot in slots if slot.phase in WAITING and slot not in evicted]
    since = [slot.ready_s or slot.created_s for slot in evicted]
    assert all(slot.ready_s or slot.created_s for slot in stays)
    assert not since or all((slot.ready_s or slot.created_s) <= min(since) for slot in stays)
    assert found.desired["julia"] <= warm.max


@settings(max_examples=200, deadline=None)
@given(any_slots, any_warm)
def test_any_pool_comes_to_rest_as_wanted(slots: list[Slot], warm: Warm) -> None:
    """Play the plans: the pool ends with what is wanted and nothing else, and never has less than it could."""
    now_s = NOW_S
    number = 1000
    waiting = [one for one in slots if one.phase in WAITING]
    for _ in range(200):
        found = policy.plan(Now(now_s, (demand(warm),), waiting, PLENTY))
        if not found.make and not found.retire and all(one.phase is Phase.READY for one in waiting):
            break
        gone = {name for name, _ in found.retire}
        before = _usable(waiting)
        waiting = [one for one in waiting if one.id not in gone]
        if warm.max > found.desired["julia"]:
            assert _usable(waiting) >= min(before, found.desired["julia"])
        waiting = [
            dataclasses.replace(one, phase=Phase.READY, ready_s=one.ready_s or now_s) for one in waiting
        ]
        for _ in found.make:
            number += 1
            waiting.append(dataclasses.replace(slot(number, Phase.WARMING), created_s=now_s))
        now_s += 4
    else:
        raise AssertionError("never comes to rest")
    assert Counter((one.server, one.recipe) for one in waiting) == Counter(
        {("julia", "today"): min(warm.ready, warm.max)}
    )


def _usable(waiting: list[Slot]) -> int:
    """Slots that a user would get now."""
    return sum(one.phase is Phase.READY and (one.server, one.recipe) == ("julia", "today") for one in waiting)
