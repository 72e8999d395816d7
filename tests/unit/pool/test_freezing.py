"""Slots that warm up while users' servers start."""

from __future__ import annotations

import pytest

from hubagent import wire
from hubagent.config.model import Warm
from hubagent.pool.freezing import STAND_STILL_AT_MOST_S
from hubagent.pool.policy import PAUSE_AFTER_START_S
from hubagent.pool.slots import Phase, Slot
from tests.unit.pool.world import World, together_with
from tests.waiting import wait_until

_NOT_READY = wire.Pong(ready=False, detail="imports", kernels={}, pluto=False)


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
