"""The watchdog is fed by progress alone, and a check can be left at every one of its steps."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from typing import Any

import pytest

from hubagent.agent.watchdog_clock import Progress, WatchdogClock, with_watchdog
from hubagent.errors import StopRequested
from hubagent.layout import HUB, HUB_TEST, NGINX, NGINX_TEST
from hubagent.ports import UnitVerb
from hubagent.state.status import Result
from tests.fakes.clock import ManualClock
from tests.unit.converge.world import CONFIG, World

EVERYTHING = CONFIG + "nginx: {max_body: 7M}\nhub: {admins: [ada]}\n"
WATCHDOG_S = 60.0  # WatchdogSec of hubagent.service


class Watched(World):
    """One whose agent reports progress, as the real one does."""

    stop_at: int | None = None  # the sign of life at which somebody says: end

    def reboot_agent(self) -> None:
        self.beats: list[float] = []
        self.progress = Progress(self._feed, self.clock.monotonic)
        self.units.on_wait = self.progress
        self.with_ports = lambda ports: with_watchdog(ports, self._step)
        super().reboot_agent()

    def _feed(self) -> None:
        self.beats.append(self.clock.monotonic())

    def _step(self) -> None:
        if self.stop_at is not None:
            self.stop_at -= 1
            if self.stop_at <= 0:
                self.stop_at = None
                self.progress.stop()
        self.progress()


class Slow:
    """A port whose calls take so long each."""

    def __init__(self, port: Any, clock: ManualClock, seconds: float) -> None:
        self._port, self._clock, self._seconds = port, clock, seconds

    def __getattr__(self, name: str) -> Any:
        def call(*arguments: Any, **named: Any) -> Any:
            self._clock.advance(self._seconds)
            return getattr(self._port, name)(*arguments, **named)

        return call


def _longest_silence_s(world: Watched, since_s: float) -> float:
    times = [since_s, *(at for at in world.beats if at >= since_s), world.clock.monotonic()]
    return max(after - before for before, after in itertools.pairwise(times))


def test_a_look_in_which_everything_takes_long_feeds_the_watchdog() -> None:
    """Two tests in a row starved it once."""
    world = Watched()
    world.reconcile()
    for unit, seconds in ((NGINX_TEST, 19.0), (HUB_TEST, 39.0)):
        world.units.delay(UnitVerb.START, unit.format(2), seconds)
    world.units.delay(UnitVerb.RELOAD, NGINX, 29.0)
    world.units.delay(UnitVerb.RESTART, HUB, 90.0)
    world.edit(EVERYTHING)
    world.through = lambda port: Slow(port, world.clock, 2.0)
    world.reboot_agent()
    begun_s = world.clock.monotonic()
    assert world.reconcile().result is Result.OK
    assert world.clock.monotonic() - begun_s > 3 * WATCHDOG_S
    assert _longest_silence_s(world, begun_s) < WATCHDOG_S / 6


def test_a_test_that_runs_out_of_its_longest_time_feeds_the_watchdog() -> None:
    world = Watched()
    world.reconcile()
    world.edit(EVERYTHING)
    for number in range(2, 9):
        world.units.hang(UnitVerb.START, HUB_TEST.format(number), times=9)
    begun_s = world.clock.monotonic()
    for _ in range(12):
        world.reconcile()
        world.clock.sleep(1.0)
    assert world.clock.monotonic() - begun_s > 100.0
    assert _longest_silence_s(world, begun_s) < WATCHDOG_S / 6


def test_a_call_that_does_not_come_back_feeds_nothing() -> None:
    clock, beats = ManualClock(), list[float]()
    progress = Progress(lambda: beats.append(clock.monotonic()), clock.monotonic)
    WatchdogClock(clock, progress).sleep(5.0)
    assert len(beats) == 1
    clock.advance(3600.0)
    assert len(beats) == 1


def test_what_other_threads_do_is_no_progress_of_this_one() -> None:
    beats: list[int] = []
    progress = Progress(lambda: beats.append(1))
    progress.stop()
    other = threading.Thread(target=progress)
    other.start()
    other.join()
    assert beats == []
    with pytest.raises(StopRequested):
        progress()
    progress()  # once: cleaning up is not interrupted again
    assert beats == [1]


@pytest.mark.parametrize("first", [True, False], ids=["first start", "edit"])
def test_told_to_end_at_any_step_of_a_look_it_ends_there_and_the_next_start_goes_on(*, first: bool) -> None:
    """However often that happens, it is nothing that the file did."""
    steps = 0
    for step in itertools.count(1):
        world = Watched()
        if not first:
            world.reconcile()
            world.edit(EVERYTHING)
        ended = 0
        for _ in range(5):
            world.stop_at = step
            before_s = world.clock.monotonic()
            try:
                world.reconcile()
            except StopRequested:
                ended += 1
                assert world.clock.monotonic() - before_s < 60.0
                world.reconciler.broken_off()
            world.stop_at = None
            world.reboot_agent()
        for _ in range(3):
            outcome = world.reconcile()
        assert outcome.result is Result.NOOP, (step, outcome)
        assert world.current("hubagent.yaml") == (CONFIG if first else EVERYTHING).encode()
        assert world.files.read(world.layout.state / "quarantine.json", max_bytes=999) is None
        if not ended:
            break
        steps = step
    assert steps > 30


@pytest.mark.parametrize(
    ("verb", "unit"),
    [(UnitVerb.START, HUB_TEST.format(2)), (UnitVerb.RESTART, HUB), (UnitVerb.RELOAD, NGINX)],
)
def test_told_to_end_while_systemd_is_at_work_it_does_not_wait_for_that(verb: UnitVerb, unit: str) -> None:
    world = Watched()
    world.reconcile()
    world.edit(EVERYTHING)
    world.units.hang(verb, unit)
    world.clock.later(3.0, world.progress.stop)
    begun_s = world.clock.monotonic()
    with pytest.raises(StopRequested):
        world.reconcile()
    assert world.clock.monotonic() - begun_s < 10.0
    world.reconciler.broken_off()
    world.units.heal()
    world.reboot_agent()
    assert [world.reconcile().result for _ in range(2)][-1] in (Result.OK, Result.NOOP)
    assert world.reconcile().result is Result.NOOP


def test_every_port_is_among_those_that_beat() -> None:
    """A port that is added later, too."""
    world, beats = World(), list[int]()
    ports = with_watchdog(world.ports, lambda: beats.append(1))
    plain = {"layout", "templates"}
    for field in dataclasses.fields(ports):
        same = getattr(ports, field.name) is getattr(world.ports, field.name)
        assert same is (field.name in plain), field.name
