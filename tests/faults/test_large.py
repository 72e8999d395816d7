"""A large configuration, and ten thousand checks: bounded work, bounded memory."""

from __future__ import annotations

import gc
import sys
import time

from hubagent.config.reading.loader import MAX_BYTES
from hubagent.state.status import Result
from tests.faults.whole import assert_at_rest, assert_runs_what_is_in_force
from tests.unit.converge.world import CONFIG, World

SERVERS = 500
CALLS_OF_A_LOOK = 60  # of systemd, Docker, the services and the files, whatever the size of the configuration
LOOKS = 400


def _large(servers: int) -> str:
    """100 KB for 500 servers."""
    lines = [
        f"  s{number}: {{title: Course {number}, image: hubagent/julia, memory: 1G, environment: "
        f"{{COURSE: 'number {number}', TERM: winter, FOLDER: /srv/course/{number}, MORE: '{'x' * 60}'}}}}\n"
        for number in range(servers)
    ]
    return CONFIG + "servers:\n" + "".join(lines)


class Counting:
    """A port that counts its calls."""

    calls = 0

    def __init__(self, port: object) -> None:
        self._port = port

    def __getattr__(self, name: str) -> object:
        Counting.calls += 1
        return getattr(self._port, name)


def test_500_servers_in_100_kb_are_applied_and_looked_at_in_bounded_time() -> None:
    world = World()
    world.reconcile()
    text = _large(SERVERS)
    assert 100_000 < len(text) < MAX_BYTES
    world.edit(text)
    begun_s = time.process_time()
    assert world.reconcile().result is Result.OK
    assert time.process_time() - begun_s < 4.0  # a second on a quiet machine, most of it YAML
    assert_runs_what_is_in_force(world)
    begun_s = time.process_time()
    assert_at_rest(world)
    assert time.process_time() - begun_s < 1.0


def test_the_work_of_a_look_does_not_grow_with_the_configuration() -> None:
    counts = []
    for servers in (1, 100):
        world = World(_large(servers))
        world.through = Counting
        world.reboot_agent()
        world.reconcile()
        Counting.calls = 0
        assert world.reconcile().result is Result.NOOP
        counts.append(Counting.calls)
    assert counts[0] == counts[1]
    assert counts[0] < CALLS_OF_A_LOOK


def test_looks_leave_nothing_behind() -> None:
    world = World()

    def look_often() -> int:
        """Blocks of memory in use after so many checks."""
        for _ in range(LOOKS):
            world.clock.advance(20.0)
            world.survey.status(world.reconcile())
            for journal in (world.units, world.probe, world.engine, world.ports.certificates):
                journal.journal.clear()  # type: ignore[attr-defined]  # the fakes remember every call
            world.clock.slept.clear()
        gc.collect()
        return sys.getallocatedblocks()

    look_often()
    before = look_often()
    assert look_often() - before < LOOKS / 10


def test_bad_edits_leave_nothing_behind() -> None:
    """Neither on the disk nor in memory."""
    world = World()
    world.reconcile()
    files = set(world.files.contents())
    for number in range(300):
        world.edit(f"hots: {number}\n")
        assert world.reconcile().result is Result.REJECTED
    assert set(world.files.contents()) == files


def test_edits_that_are_taken_back_are_kept_for_a_look_and_no_longer() -> None:
    world = World()
    world.reconcile()
    world.taken_ports = {9999}
    for number in range(25):
        world.edit(CONFIG + f'nginx: {{max_body: {number + 1}m}}\nmetrics: {{listen: "127.0.0.1:9999"}}\n')
        assert world.reconcile().result is Result.ROLLED_BACK
    assert len(world.generations.numbers()) <= 10
    assert world.generations.current() == 1
