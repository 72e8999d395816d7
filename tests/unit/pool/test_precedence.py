"""Who Docker works for first."""

from __future__ import annotations

import pytest

from hubagent import wire
from hubagent.pool.precedence import Precedence
from tests.fakes import FakeHomes, ManualClock


class World:
    def __init__(self) -> None:
        self.homes, self.clock = FakeHomes(), ManualClock()
        self.precedence = Precedence(self.homes, self.clock)

    @property
    def is_idle(self) -> bool:
        return bool(self.homes.idle)


@pytest.fixture
def world() -> World:
    return World()


def test_docker_is_idle_while_it_makes_a_slot(world: World) -> None:
    with world.precedence.of_others():
        assert world.is_idle
    assert not world.is_idle


def test_a_slot_that_cannot_be_made_does_not_leave_docker_idle(world: World) -> None:
    with pytest.raises(ValueError, match="no image"), world.precedence.of_others():
        raise ValueError("no image")
    assert not world.is_idle


def test_docker_works_for_users_with_all_its_weight(world: World) -> None:
    with world.precedence.of_others():
        with world.precedence.of_user():
            assert not world.is_idle
            with world.precedence.of_user():
                pass
            assert not world.is_idle  # the first still waits
        assert world.is_idle
    with world.precedence.of_user(), world.precedence.of_others():
        assert not world.is_idle
    assert not world.is_idle


def test_users_one_after_the_other_do_not_make_a_slot_last_for_ever(world: World) -> None:
    with world.precedence.of_others():
        world.clock.advance(wire.IDLE_AT_MOST_S)
        with world.precedence.of_user():
            pass
        assert not world.is_idle


def test_nobody_asks_the_helper_when_no_slot_is_made(world: World) -> None:
    with world.precedence.of_user():
        pass
    assert not world.homes.journal


def test_without_the_helper_all_goes_on(world: World) -> None:
    world.homes.fail("idle_docker")
    with world.precedence.of_others():
        assert not world.is_idle
        with world.precedence.of_user():
            pass
        assert world.homes.journal == [("idle_docker", "")]  # not asked again for this slot
    with world.precedence.of_others():
        assert world.is_idle
