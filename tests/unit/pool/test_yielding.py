"""The pool keeps out of the way of users' servers that start."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubagent import wire
from hubagent.config.model import Warm
from hubagent.pool.policy import PAUSE_AFTER_START_S
from hubagent.pool.slots import Phase, Slot, Slots
from hubagent.pool.yielding import STAND_STILL_AT_MOST_S, Yielding
from tests.fakes import FakeHomes, ManualClock, MemoryFileStore
from tests.unit.pool.world import GUESTS, World, together_with
from tests.waiting import wait_until

_NOT_READY = wire.Pong(ready=False, detail="imports", kernels={}, pluto=False)


# Slots that warm up


@pytest.fixture
def world() -> World:
    """One slot is ready, another warms up."""
    world = World(Warm(ready=1, max=4))
    world.settle()
    world.configure(Warm(ready=2, max=4))
    world.step()
    world.guests.listen(_warming(world).id, _NOT_READY)
    return world


def _warming(world: World) -> Slot:
    (slot,) = [slot for slot in world.slots.all() if slot.phase is Phase.WARMING]
    return slot


def test_a_slot_stands_still_from_a_click_until_its_page_has_loaded(world: World) -> None:
    slot = _warming(world)
    assert isinstance(world.claim(), wire.Started)
    assert set(world.homes.frozen) == {slot.container}
    world.step()
    assert set(world.homes.frozen) == {slot.container}
    world.pass_time(PAUSE_AFTER_START_S + 0.5)
    assert not world.homes.frozen
    world.guests.listen(slot.id)
    world.settle()
    assert world.phases()[Phase.READY] == 2


def test_it_stands_still_during_the_claim_and_during_a_cold_start(world: World) -> None:
    slot = _warming(world)
    with world.guests.hold():
        thread = together_with(lambda: world.claim("ada"))
        wait_until(lambda: set(world.homes.frozen) == {slot.container})
    thread.join(timeout=30)
    world.pass_time(PAUSE_AFTER_START_S + 0.5)
    with world.pool.cold_start("bob", ""):
        assert set(world.homes.frozen) == {slot.container}


def test_nobody_asks_a_slot_that_stands_still(world: World) -> None:
    slot = _warming(world)
    world.claim()
    world.guests.pinged.clear()
    world.step()
    assert slot.id not in world.guests.pinged


def test_users_who_never_stop_coming_do_not_keep_a_slot_from_getting_ready(world: World) -> None:
    slot = _warming(world)
    stood_s = 0.0
    for number in range(300):
        with world.pool.cold_start(f"user{number}", ""):
            delay_s = 0.2
            stood_s += delay_s if slot.container in world.homes.frozen else 0.0
            world.clock.advance(delay_s)
            world.step()
    assert stood_s == pytest.approx(STAND_STILL_AT_MOST_S, abs=0.5)


def test_a_slot_begun_in_spite_of_users_is_not_stopped(world: World) -> None:
    world.guests.listen(_warming(world).id)
    world.settle()
    world.claim()
    begun = {slot.id for slot in world.slots.all()}
    for number in range(300):
        with world.pool.cold_start(f"user{number}", ""):
            world.clock.advance(0.2)
            world.step()
        if {slot.id for slot in world.slots.all()} - begun:
            break
    slot = _warming(world)
    with world.pool.cold_start("zoe", ""):
        assert not world.homes.frozen
    assert world.slots.get(slot.id)


def test_a_slot_whose_container_starts_during_a_click_stands_still(world: World) -> None:
    world.guests.listen(_warming(world).id)
    world.settle()
    world.configure(Warm(ready=3, max=4))
    with world.containers.hold("start"):
        step = together_with(world.step)
        wait_until(lambda: bool(world.containers.calls("create")) and world.phases()[Phase.CREATING] == 1)
        world.claim()
        assert not world.homes.frozen
    step.join(timeout=30)
    assert set(world.homes.frozen) == {_warming(world).container}


def test_what_is_offered_never_stands_still(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    slot = _warming(world)
    world.guests.listen(slot.id)
    weigh = world.containers.weigh

    def weigh_beside_a_click(container: str, *, cpu_shares: int) -> None:
        assert isinstance(world.claim("ada"), wire.Started)
        assert set(world.homes.frozen) == {slot.container}
        weigh(container, cpu_shares=cpu_shares)

    monkeypatch.setattr(world.containers, "weigh", weigh_beside_a_click)
    world.step()
    assert [one.id for one in world.ready()] == [slot.id]
    assert slot.container not in world.homes.frozen
    assert isinstance(world.claim("bob"), wire.Started)
    assert slot.container not in world.homes.frozen


def test_what_is_given_up_does_not_stand_still(world: World) -> None:
    with world.pool.cold_start("ada", ""):
        assert world.homes.frozen
        world.configure(None)
        world.step()
        assert not world.homes.frozen


def test_without_the_helper_slots_warm_up_beside_users(world: World) -> None:
    world.homes.fail("freeze")
    assert isinstance(world.claim(), wire.Started)
    world.claim("bob")
    assert not world.homes.frozen
    assert world.homes.journal.count(("freeze", "")) == 1


# Who Docker works for first


class Docker:
    """Only what decides who it works for."""

    def __init__(self) -> None:
        self.homes, self.clock = FakeHomes(), ManualClock()
        slots = Slots(MemoryFileStore(), GUESTS)
        self.yielding = Yielding(slots, self.homes, self.clock)

    @property
    def is_idle(self) -> bool:
        return bool(self.homes.idle)


@pytest.fixture
def docker() -> Docker:
    return Docker()


def test_docker_is_idle_while_it_makes_a_slot(docker: Docker) -> None:
    with docker.yielding.slot_in_the_making():
        assert docker.is_idle
    assert not docker.is_idle


def test_a_slot_that_cannot_be_made_does_not_leave_docker_idle(docker: Docker) -> None:
    with pytest.raises(ValueError, match="no image"), docker.yielding.slot_in_the_making():
        raise ValueError("no image")
    assert not docker.is_idle


def test_docker_works_for_users_with_all_its_weight(docker: Docker) -> None:
    with docker.yielding.slot_in_the_making():
        with docker.yielding.user_needs_docker():
            assert not docker.is_idle
            with docker.yielding.user_needs_docker():
                pass
            assert not docker.is_idle  # the first still waits
        assert docker.is_idle
    with docker.yielding.user_needs_docker(), docker.yielding.slot_in_the_making():
        assert not docker.is_idle
    assert not docker.is_idle


def test_a_short_question_changes_nothing(docker: Docker) -> None:
    with docker.yielding.slot_in_the_making():
        with docker.yielding.user_needs_docker(patience_s=600):
            assert docker.is_idle
        assert docker.homes.journal == [("idle_docker", "")]
    assert not docker.is_idle


def test_who_waits_for_longer_loses_patience(docker: Docker) -> None:
    with docker.yielding.slot_in_the_making():
        with docker.yielding.user_needs_docker(patience_s=0.01):
            wait_until(lambda: not docker.is_idle)
        assert docker.is_idle


def test_a_slot_begun_during_a_question_waits_for_its_answer(docker: Docker) -> None:
    with docker.yielding.user_needs_docker(patience_s=600), docker.yielding.slot_in_the_making():
        assert not docker.is_idle


def test_users_one_after_the_other_do_not_make_a_slot_last_for_ever(docker: Docker) -> None:
    with docker.yielding.slot_in_the_making():
        docker.clock.advance(wire.IDLE_AT_MOST_S)
        with docker.yielding.user_needs_docker():
            pass
        assert not docker.is_idle


def test_nobody_asks_the_helper_when_no_slot_is_made(docker: Docker) -> None:
    with docker.yielding.user_needs_docker():
        pass
    assert not docker.homes.journal


def test_without_the_helper_all_goes_on(docker: Docker) -> None:
    docker.homes.fail("idle_docker")
    with docker.yielding.slot_in_the_making():
        assert not docker.is_idle
        with docker.yielding.user_needs_docker():
            pass
        assert docker.homes.journal == [("idle_docker", "")]  # not asked again for this slot
    with docker.yielding.slot_in_the_making():
        assert docker.is_idle


# Docker, in the pool


@pytest.fixture
def pool() -> Iterator[World]:
    """One slot is ready, and Docker makes another."""
    world = World(Warm(ready=1, max=4))
    world.settle()
    world.configure(Warm(ready=2, max=4))
    with world.containers.hold("start"):
        step = together_with(world.step)
        wait_until(lambda: bool(world.homes.idle))
        yield world
    step.join(timeout=30)
    assert not world.homes.idle
    assert world.phases()[Phase.WARMING] == 1


def test_a_claim_that_waits_for_docker_has_all_its_weight(pool: World) -> None:
    with pool.containers.hold("inspect"):
        claim = together_with(pool.claim)
        wait_until(lambda: not pool.homes.idle)
    claim.join(timeout=30)
    assert pool.phases()[Phase.CLAIMED] == 1
    assert pool.homes.idle, "the server starts beside a Docker that is idle"


def test_a_cold_start_has_docker_with_all_its_weight(pool: World) -> None:
    with pool.pool.cold_start("ada", ""):
        assert not pool.homes.idle
    assert pool.homes.idle
