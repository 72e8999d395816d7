"""What is left of cold starts, with a real Docker and the real folders; the minute and a half passes by a clock that is turned.

tests/machine/test_servers.py shows the same with a real hub, and waits.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.adapters.docker.containers import DockerContainers
from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.net.guests import SocketGuests
from hubagent.layout import LABEL_GUEST, LABEL_SERVER, LABEL_USER
from hubagent.pool.cleanup import ABANDONED_S, Cleanup
from hubagent.pool.ports import ContainerFacts, ContainerSpec, PoolPorts
from hubagent.pool.slots import Slots
from tests.contract.real_docker import SLEEP, Engine
from tests.fakes import FakeHomes, ManualClock

# Debian 12's python3-docker leaves a socket that cannot connect to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")

HOME = "/home/jovyan/work"
OURS = "test-leaving"


class Own(DockerContainers):
    """Sees what is made here alone: whoever else has containers in this Docker keeps them."""

    def list(self, *, label: str) -> tuple[ContainerFacts, ...]:
        return tuple(facts for facts in super().list(label=label) if facts.labels.get(OURS))


@dataclass(frozen=True)
class World:
    containers: DockerContainers
    guests: SocketGuests
    clock: ManualClock
    cleanup: Cleanup
    image: str

    def start(self, home: str = "") -> tuple[str, str]:
        """A cold start's container with its guest's folder, which runs. Their ids."""
        guest = uuid.uuid4().hex[:12]
        self.guests.prepare(guest, wire.GuestSettings("cold"))
        container = self.containers.create(
            ContainerSpec(
                name=f"t-{guest}",
                image=self.image,
                command=SLEEP,
                environment={},
                labels={LABEL_GUEST: guest, LABEL_SERVER: "julia", LABEL_USER: "bob", OURS: "yes"},
                network="none",
                memory_bytes=64 * 1024**2,
                cpus=0.5,
                processes=20,
                volume=(home, HOME) if home else None,
            )
        )
        self.containers.start(container)
        return container, guest

    def pass_time(self, seconds: float) -> None:
        """The keeper looks, as it does every half minute."""
        for _ in range(int(seconds / 30)):
            self.clock.advance(30.0)
            self.cleanup.collect()
            self.cleanup.remove_dead()

    def remove_all(self) -> None:
        for facts in self.containers.list(label=LABEL_GUEST):
            self.containers.remove(facts.id)

    def is_there(self, container: str) -> bool:
        return self.containers.inspect(container) is not None


@pytest.fixture
def world(engine: Engine, tmp_path: Path) -> Iterator[World]:
    containers, guests, clock = Own(engine.url), SocketGuests(tmp_path / "guests"), ManualClock()
    slots = Slots(LocalFileStore(), tmp_path / "guests")
    cleanup = Cleanup(slots, PoolPorts(containers, FakeHomes(), guests, clock))
    world = World(containers, guests, clock, cleanup, engine.image)
    yield world
    world.remove_all()
    containers.close()


def test_an_ended_one_goes_after_its_time_with_its_folder_and_without_the_home(world: World) -> None:
    home = f"t-home-{uuid.uuid4().hex[:8]}"
    world.containers.create_volume(home, {})
    try:
        ended, its_guest = world.start(home)
        stays, other_guest = world.start()
        world.containers.stop(ended, timeout_s=1)
        world.cleanup.collect()
        world.pass_time(ABANDONED_S - 30)
        assert world.is_there(ended), "the hub asks why it ended"
        world.pass_time(30)
        assert not world.is_there(ended)
        assert its_guest not in world.guests.known()
        assert world.is_there(stays)
        assert other_guest in world.guests.known()
        assert world.containers.volume_path(home) is not None
    finally:
        world.remove_all()
        world.containers.remove_volume(home)


def test_one_that_runs_again_or_is_paused_stays(world: World, engine: Engine) -> None:
    again, _ = world.start()
    paused, _ = world.start()
    world.containers.stop(again, timeout_s=1)
    with engine.sdk() as sdk:
        sdk.pause(paused)
        try:
            world.cleanup.collect()
            world.pass_time(ABANDONED_S - 30)
            world.containers.start(again)
            world.pass_time(2 * ABANDONED_S)
            assert world.is_there(again)
            assert world.is_there(paused)
        finally:
            sdk.unpause(paused)
