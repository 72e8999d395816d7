"""The power fails, or the agent is killed, at every single step of a change: generation N or N+1, never a mix."""

from __future__ import annotations

import enum
import itertools
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from hubagent.layout import HUB, NGINX
from hubagent.ports import UnitVerb
from hubagent.state.status import Result
from tests.fakes import MemoryFileStore, PowerLost, Survivors
from tests.faults.whole import assert_at_rest, assert_runs_what_is_in_force, in_force
from tests.unit.converge.world import CONFIG, World
from tests.unit.pool.mortal import Killed, Life, Mortal

EDIT = CONFIG + (
    "nginx: {max_body: 7m}\n"
    "hub: {admins: [admin, ada]}\n"
    "servers: {julia: {memory: 1G}}\n"
    'metrics: {listen: "127.0.0.1:9999"}\n'
)
FRESH_START = frozenset({None, 1})


class Change(enum.Enum):
    """What the agent is doing when it ends."""

    FIRST_START = "first start"
    EDIT = "edit"
    TAKEN_BACK = "edit that is taken back"
    ROLLBACK = "rollback by hand"
    NEW_TOKENS = "new tokens for hub and proxy"


class Machine(World):
    """One on which the hub may die as soon as it has loaded the edit."""

    hub_lives = True

    def _hub(self, verb: UnitVerb) -> None:
        super()._hub(verb)
        if not self.hub_lives and b'"ada"' in self.current("hub/hub.json"):
            self.units.crash(HUB)


@dataclass(frozen=True)
class Scenario:
    prepare: Callable[[], Machine]
    act: Callable[[Machine], object]
    may_run: frozenset[int | None]  # generations, before the agent has checked again
    ends: bytes  # what is in force at the end, in the words of the file; empty where either may be


def _settled() -> Machine:
    world = Machine()
    assert world.reconcile().result is Result.OK
    return world


def _edited() -> Machine:
    world = _settled()
    world.edit(EDIT)
    return world


def _unable() -> Machine:
    world = _edited()
    world.hub_lives = False
    return world


def _twice() -> Machine:
    world = _edited()
    assert world.reconcile().result is Result.OK
    return world


SCENARIOS = {
    Change.FIRST_START: Scenario(Machine, World.reconcile, FRESH_START, CONFIG.encode()),
    Change.EDIT: Scenario(_edited, World.reconcile, frozenset({1, 2}), EDIT.encode()),
    Change.TAKEN_BACK: Scenario(_unable, World.reconcile, frozenset({1, 2}), b""),
    Change.ROLLBACK: Scenario(_twice, lambda world: world.reconcile(rollback_to=1), frozenset({2, 3}), b""),
    Change.NEW_TOKENS: Scenario(
        _settled,
        lambda world: world.reconcile(new_tokens=True, allow_disruption=True),
        frozenset({1, 2}),
        CONFIG.encode(),
    ),
}


def _steps(scenario: Scenario) -> int:
    world = scenario.prepare()
    before = world.files.steps
    scenario.act(world)
    return world.files.steps - before


def _judge(world: Machine, scenario: Scenario) -> None:
    """A new agent brings the machine to one whole generation, and then leaves it alone."""
    assert in_force(world) in scenario.may_run
    world.hub_lives = True
    world.reboot_agent()
    outcome = world.reconcile()
    assert outcome.result in (Result.OK, Result.NOOP, Result.REJECTED), outcome
    assert_runs_what_is_in_force(world)
    assert_at_rest(world, Result.NOOP, Result.REJECTED)
    assert world.current("hubagent.yaml") in (
        [scenario.ends] if scenario.ends else [CONFIG.encode(), EDIT.encode()]
    )
    assert world.generations.interrupted() is None


@pytest.mark.parametrize("survivors", list(Survivors), ids=lambda one: one.value)
def test_the_power_fails_at_any_step_of_an_edit(survivors: Survivors) -> None:
    scenario = SCENARIOS[Change.EDIT]
    for steps in range(_steps(scenario)):
        _lose_power(scenario, steps, survivors)


@pytest.mark.parametrize(
    "change", [one for one in Change if one is not Change.EDIT], ids=lambda one: one.value
)
def test_the_power_fails_at_any_step_of_another_change(change: Change) -> None:
    """With what the disk has kept of the unsynced in turn."""
    scenario, survivors = SCENARIOS[change], itertools.cycle(Survivors)
    for steps in range(_steps(scenario)):
        _lose_power(scenario, steps, next(survivors))


def _lose_power(scenario: Scenario, steps: int, survivors: Survivors) -> None:
    world = scenario.prepare()
    world.files.cut_power_after(steps)
    with pytest.raises(PowerLost):
        scenario.act(world)
    world.lose_power(survivors)
    _judge(world, scenario)


def test_the_agent_is_killed_within_any_write_of_an_edit() -> None:
    """Services go on, and what was written stays written, whether it was synced or not."""
    scenario = SCENARIOS[Change.EDIT]
    for steps in range(_steps(scenario)):
        world = scenario.prepare()
        world.files.cut_power_after(steps)
        with pytest.raises(PowerLost):
            scenario.act(world)
        world.files.reboot(Survivors.EVERYTHING)
        _judge(world, scenario)


@pytest.mark.parametrize("change", list(Change), ids=lambda one: one.value)
def test_the_agent_is_killed_before_any_call(change: Change) -> None:
    """Of systemd, Docker, the services, and the files: between any two of them."""
    scenario = SCENARIOS[change]
    taken = 0
    while True:
        world, life = scenario.prepare(), Life(taken)
        world.through = lambda port, life=life: Mortal(port, life)
        world.reboot_agent()
        try:
            scenario.act(world)
        except Killed:
            world.through = lambda port: port
            _judge(world, scenario)
            taken += 1
        else:
            break
    assert taken > 50, "every call counts"


def test_what_never_serves_is_taken_back_whenever_the_power_failed() -> None:
    """The edit is as bad after the crash as before: whichever step it was, the machine ends with the old one."""
    for steps in range(_steps(SCENARIOS[Change.TAKEN_BACK])):
        world = _unable()
        world.files.cut_power_after(steps)
        with pytest.raises(PowerLost):
            world.reconcile()
        world.lose_power(Survivors.EVERYTHING)
        world.reboot_agent()
        results = [world.reconcile().result for _ in range(4)]
        assert results[-1] is Result.REJECTED, (steps, results)
        assert world.current("hubagent.yaml") == CONFIG.encode(), steps
        assert_runs_what_is_in_force(world)


def _dying(times: int) -> tuple[Machine, list[Killed]]:
    """An edit whose apply kills the agent so often, and how often still."""
    world = _edited()
    world.nginx_loads = False  # so that it has to be reloaded each time
    lives = [Killed() for _ in range(times)]

    def die(_verb: UnitVerb) -> None:
        if lives:
            raise lives.pop()

    world.units.on(NGINX, die)
    return world, lives


def _dies(world: Machine) -> None:
    with pytest.raises(Killed):
        world.reconcile()
    world.reboot_agent()


def _waits(world: Machine) -> str:
    """What is said of a file that is not tried now; the last good generation runs."""
    outcome = world.reconcile()
    assert outcome.result is Result.FAILED
    assert world.generations.current() == 1
    assert_runs_what_is_in_force(world)
    (said,) = [problem.message for problem in outcome.problems if "interrupted" in problem.message]
    return said


def test_a_file_under_which_the_agent_ends_again_and_again_waits_ever_longer() -> None:
    """It may be what takes the agent down, or the power failed three times: it neither loops nor is lost."""
    world, lives = _dying(5)
    for _ in range(3):
        _dies(world)
    assert "interrupted 3 times" in _waits(world)
    assert "tried again in 5 min" in _waits(world)
    world.reboot_agent()
    assert "tried again in 5 min" in _waits(world), "a restart of the agent does not shorten it"
    world.clock.advance(299.0)
    _waits(world)
    world.clock.advance(2.0)
    _dies(world)
    assert "interrupted 4 times" in _waits(world)
    world.reboot_agent()
    assert "tried again in 10 min" in _waits(world)
    world.clock.advance(601.0)
    _dies(world)
    assert "tried again in 20 min" in _waits(world)
    world.clock.advance(1201.0)
    assert lives == []
    world.nginx_loads = True
    assert world.reconcile().result is Result.OK
    assert world.current("hubagent.yaml") == EDIT.encode()


def test_one_more_try_can_be_asked_for_and_another_file_is_tried_at_once() -> None:
    world, lives = _dying(4)
    for _ in range(3):
        _dies(world)
    _waits(world)
    with pytest.raises(Killed):
        world.reconcile(retry=True)
    world.reboot_agent()
    _waits(world)
    assert lives == []
    world.nginx_loads = True
    world.edit(EDIT + "# touched\n")
    assert world.reconcile().result is Result.OK


def test_a_clock_that_was_put_back_makes_no_pause_longer() -> None:
    world, _ = _dying(3)
    for _ in range(3):
        _dies(world)
    _waits(world)
    world.clock.step_wall_clock(-1_000_000.0)
    world.nginx_loads = True
    assert world.reconcile().result is Result.OK


def test_nothing_is_lost_that_was_written_before() -> None:
    """Secrets and the generation in force are durable before anything goes by them."""
    world = _settled()
    secrets = {path: data for path, data in world.files.contents().items() if "/secrets/" in path}
    assert secrets
    for survivors in Survivors:
        world.lose_power(survivors)
        assert {path: world.files.contents()[path] for path in secrets} == secrets
        assert in_force(world) == 1
    assert isinstance(world.files, MemoryFileStore)
