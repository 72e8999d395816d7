"""A slot's life: one way, one user, known to the next agent."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubagent.errors import StorageError
from hubagent.pool.slots import TAKEN, WAITING, Phase, Slot, Slots
from tests.fakes.files import MemoryFileStore
from tests.unit.pool.world import together

FOLDER = Path("/run/hubagent/guests")
FORWARD = {
    Phase.CREATING: {Phase.WARMING, Phase.DEAD},
    Phase.WARMING: {Phase.READY, Phase.DEAD},
    Phase.READY: {Phase.CLAIMING, Phase.DEAD},
    Phase.CLAIMING: {Phase.CLAIMED, Phase.DEAD},
    Phase.CLAIMED: {Phase.DEAD},
    Phase.DEAD: set[Phase](),
}


def slot(number: int, phase: Phase = Phase.READY, *, ready_s: float = 20.0, user: str = "") -> Slot:
    return Slot(
        f"{number:012x}",
        "julia",
        "today",
        phase,
        created_s=10.0,
        ready_s=ready_s,
        container=f"c{number}",
        user=user,
    )


def registry(*slots: Slot, files: MemoryFileStore | None = None) -> Slots:
    store = files or MemoryFileStore()
    made = Slots(store, FOLDER)
    for one in slots:
        store.put_folder(FOLDER / one.id)
        made.add(one)
    return made


def next_agent(files: MemoryFileStore, *slots: Slot) -> list[Slot | None]:
    fresh = Slots(files, FOLDER)
    return [fresh.adopt(one.id) for one in slots]


@pytest.mark.parametrize("before", Phase)
@pytest.mark.parametrize("after", Phase)
def test_phases_go_one_way(before: Phase, after: Phase) -> None:
    slots = registry(slot(1, before))
    moved = slots.move(slot(1).id, after)
    assert (moved is not None) == (after in FORWARD[before])
    now = slots.get(slot(1).id)
    assert now is not None
    assert now.phase is (after if moved else before)


def test_the_slot_that_waited_longest_goes_first() -> None:
    slots = registry(slot(1, ready_s=30), slot(2, ready_s=20), slot(3, ready_s=40))
    taken = [slots.take("julia", "today", f"user{n}", "") for n in range(4)]
    assert [one.id if one else None for one in taken] == [slot(2).id, slot(1).id, slot(3).id, None]


def test_only_ready_slots_of_this_server_and_recipe_are_taken() -> None:
    slots = registry(*(slot(n, phase) for n, phase in enumerate(Phase) if phase is not Phase.READY), slot(9))
    assert slots.take("python", "today", "ada", "") is None
    assert slots.take("julia", "yesterday", "ada", "") is None
    assert slots.take("julia", "", "ada", "") is None
    taken = slots.take("julia", "today", "ada", "")
    assert taken is not None
    assert taken.id == slot(9).id


def test_a_user_has_one_slot_for_each_of_his_servers() -> None:
    slots = registry(slot(1), slot(2), slot(3))
    assert slots.take("julia", "today", "ada", "") is not None
    assert slots.take("julia", "today", "ada", "") is None
    assert slots.take("julia", "today", "ada", "other") is not None
    assert slots.take("julia", "today", "bob", "") is not None


def test_200_at_once_take_10_slots_once_each() -> None:
    slots = registry(*map(slot, range(10)))
    taken = together(200, lambda number: (slots.take("julia", "today", f"user{number}", ""),))
    got = Counter(one.id for (one,) in taken if one is not None)
    assert got == Counter({slot(n).id: 1 for n in range(10)})


def test_what_is_taken_is_on_the_disk_before_anybody_hears_of_it() -> None:
    files = MemoryFileStore()
    slots = registry(slot(1), slot(2), files=files)
    taken = slots.take("julia", "today", "ada", "lab")
    assert taken is not None
    written = json.loads(files.text(FOLDER / taken.id / "slot.json"))
    assert (written["phase"], written["user"], written["server_name"]) == ("claiming", "ada", "lab")
    assert files.mode(FOLDER / taken.id / "slot.json") == 0o600


def test_a_slot_that_cannot_be_written_down_is_not_taken() -> None:
    files = MemoryFileStore()
    slots = registry(slot(1), files=files)
    files.fail("write", FOLDER)
    with pytest.raises(StorageError):
        slots.take("julia", "today", "ada", "")
    assert slots.take("julia", "today", "bob", "") is not None


def test_death_needs_no_file() -> None:
    files = MemoryFileStore()
    slots = registry(slot(1), files=files)
    files.fail("write", FOLDER)
    assert slots.move(slot(1).id, Phase.DEAD) is not None
    assert slots.take("julia", "today", "ada", "") is None


@pytest.mark.parametrize("phase", Phase)
def test_retiring_never_takes_a_slot_from_a_user(phase: Phase) -> None:
    slots = registry(slot(1, phase, user="ada" if phase in TAKEN else ""))
    assert (slots.retire(slot(1).id) is not None) == (phase in WAITING)


def test_claims_and_retiring_at_once_agree_on_whose_a_slot_is() -> None:
    slots = registry(*map(slot, range(50)))

    def one(number: int) -> tuple[str, Slot | None]:
        if number % 2:
            return "taken", slots.take("julia", "today", f"user{number}", "")
        return "retired", slots.retire(slot(number // 2).id)

    results = together(100, one)
    taken = {found.id for what, found in results if what == "taken" and found}
    retired = {found.id for what, found in results if what == "retired" and found}
    assert not taken & retired
    assert {one.id for one in slots.all() if one.phase is Phase.CLAIMING} == taken


def test_the_next_agent_knows_what_the_last_one_did() -> None:
    files = MemoryFileStore()
    kept = [slot(n, phase, user="ada" if phase in TAKEN else "") for n, phase in enumerate(Phase)]
    registry(*kept, files=files)
    for before, found in zip(kept, next_agent(files, *kept), strict=True):
        assert found is not None
        expected = Phase.DEAD if before.phase is Phase.CLAIMING else before.phase
        assert found.phase is expected
        assert (found.id, found.user, found.container, found.ready_s) == (
            before.id,
            before.user,
            before.container,
            before.ready_s,
        )


def test_state_files_of_other_versions_are_read() -> None:
    files = MemoryFileStore()
    registry(slot(1), files=files)
    path = FOLDER / slot(1).id / "slot.json"
    data = json.loads(files.text(path))
    del data["proven"]
    files.put(path, json.dumps({**data, "invented_later": [1]}))
    assert next_agent(files, slot(1)) == [slot(1)]


def test_adopting_again_changes_nothing() -> None:
    slots = registry(slot(1))
    taken = slots.take("julia", "today", "ada", "")
    assert taken is not None
    assert slots.adopt(taken.id) == taken


@settings(deadline=None)
@given(
    st.binary(max_size=200)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: st.dictionaries(
            st.sampled_from(["format", "id", "server", "recipe", "phase", "created_s", "ready_s", "user"]),
            inner,
            max_size=8,
        ),
    ).map(lambda value: json.dumps(value).encode())
)
def test_no_state_file_can_hurt(content: bytes) -> None:
    files = MemoryFileStore()
    files.put(FOLDER / slot(1).id / "slot.json", content)
    assert next_agent(files, slot(1)) == [None]


def test_the_state_file_of_another_slot_is_not_believed() -> None:
    files = MemoryFileStore()
    registry(slot(1), files=files)
    files.put(FOLDER / slot(2).id / "slot.json", files.text(FOLDER / slot(1).id / "slot.json"))
    assert next_agent(files, slot(2)) == [None]
