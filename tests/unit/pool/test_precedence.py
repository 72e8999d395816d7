"""Who Docker works for first."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubagent import wire
from hubagent.config.model import Warm
from hubagent.pool.precedence import Precedence
from hubagent.pool.slots import Phase
from tests.fakes import FakeHomes, ManualClock
from tests.unit.pool.world import World, together_with
from tests.waiting import wait_until


class Docker:
    """Only what decides who it works for."""

    def __init__(self) -> None:
        self.homes, self.clock = FakeHomes(), ManualClock()
        self.precedence = Precedence(self.homes, self.clock)

    @property
    def is_idle(self) -> bool:
        return bool(self.homes.idle)


@pytest.fixture
def docker() -> Docker:
    return Docker()


def test_docker_is_idle_while_it_makes_a_slot(docker: Docker) -> None:
    with docker.precedence.of_others():
        assert docker.is_idle
    assert not docker.is_idle


def test_a_slot_that_cannot_be_made_does_not_leave_docker_idle(docker: Docker) -> None:
    with pytest.raises(ValueError, match="no image"), docker.precedence.of_others():
        raise ValueError("no image")
    assert not docker.is_idle


def test_docker_works_for_users_with_all_its_weight(docker: Docker) -> None:
    with docker.precedence.of_others():
        with docker.precedence.of_user():
            assert not docker.is_idle
            with docker.precedence.of_user():
                pass
            assert not docker.is_idle  # the first still waits
        assert docker.is_idle
    with docker.precedence.of_user(), docker.precedence.of_others():
        assert not docker.is_idle
    assert not docker.is_idle


def test_a_short_question_changes_nothing(docker: Docker) -> None:
    with docker.precedence.of_others():
        with docker.precedence.of_user(patience_s=600):
            assert docker.is_idle
        assert docker.homes.journal == [("idle_docker", "")]
    assert not docker.is_idle


def test_who_waits_for_longer_loses_patience(docker: Docker) -> None:
    with docker.precedence.of_others():
        with docker.precedence.of_user(patience_s=0.01):
            wait_until(lambda: not docker.is_idle)
        assert docker.is_idle


def test_a_slot_begun_during_a_question_waits_for_its_answer(docker: Docker) -> None:
    with docker.precedence.of_user(patience_s=600), docker.precedence.of_others():
        assert not docker.is_idle


def test_users_one_after_the_other_do_not_make_a_slot_last_for_ever(docker: Docker) -> None:
    with docker.precedence.of_others():
        docker.clock.advance(wire.IDLE_AT_MOST_S)
        with docker.precedence.of_user():
            pass
        assert not docker.is_idle


def test_nobody_asks_the_helper_when_no_slot_is_made(docker: Docker) -> None:
    with docker.precedence.of_user():
        pass
    assert not docker.homes.journal


def test_without_the_helper_all_goes_on(docker: Docker) -> None:
    docker.homes.fail("idle_docker")
    with docker.precedence.of_others():
        assert not docker.is_idle
        with docker.precedence.of_user():
            pass
        assert docker.homes.journal == [("idle_docker", "")]  # not asked again for this slot
    with docker.precedence.of_others():
        assert docker.is_idle


# In the pool


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
