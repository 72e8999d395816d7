"""A cold start: what the container is told, what is left when it fails, and what its user is told."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.config.kinds.types import ServerName
from hubagent.config.model import Config
from hubagent.config.model.servers import Server, Warm
from hubagent.errors import ContainerError, GuestError, HubagentError
from hubagent.pool.cold import LISTENS_S, ColdStarts
from hubagent.pool.ports import PoolPorts
from hubagent.pool.refusal import SpawnError
from hubagent.pool.spec import Specs
from tests.fakes import FakeContainers, FakeGuests, FakeHomes, ManualClock
from tests.fakes.containers_pool import Container
from tests.unit.pool.volumes import volumes_on

SERVER = Server(name=ServerName("julia"), title="Julia", environment={"COURSE": "numerics", "LANG": "C"})
REQUEST = wire.Create(
    user="ada",
    server_name="",
    server="julia",
    environment={"JUPYTERHUB_API_TOKEN": "swordfish", "LANG": "de"},
    command=("jupyterhub-singleuser", "--debug"),
    port=8888,
)


class World:
    def __init__(self, *, listens: bool = True) -> None:
        self.containers = FakeContainers()
        self.guests = FakeGuests(listens=listens)
        self.clock = ManualClock()
        self.proof: wire.Proof | None = None
        self.cold = ColdStarts(
            PoolPorts(self.containers, FakeHomes(), self.guests, self.clock),
            specs=Specs(lambda: Config(servers=(SERVER,)), program=Path("/program")),
            volumes=volumes_on(self.containers),
            proof=lambda image: self.proof,
            told={},
        )

    def start(self, **changes: str) -> wire.Started:
        return self.cold.start(SERVER, dataclasses.replace(REQUEST, **changes))

    @property
    def container(self) -> Container:
        found = self.containers.named("jupyter-ada")
        assert found is not None
        return found

    def is_clean(self) -> bool:
        return not self.containers.containers and not self.guests.known()


def test_the_container_runs_and_was_told_who_it_is() -> None:
    world = World()
    started = world.start()
    assert world.container.running
    assert started == wire.Started(world.container.id, "jupyter-ada", world.container.address)
    guest = world.container.spec.labels["hubagent.guest"]
    assert world.guests.became == {
        guest: wire.Become(
            environment={"COURSE": "numerics", "LANG": "de", "JUPYTERHUB_API_TOKEN": "swordfish"},
            command=REQUEST.command,
            home="/home/jovyan/work",
            device=0,
            inode=0,
        )
    }
    assert world.guests.settings[guest] == wire.GuestSettings(
        mode="cold", home="/home/jovyan/work", declared=("COURSE", "LANG")
    )


def test_pluto_is_offered_where_the_image_was_seen_to_have_it() -> None:
    world = World()
    for version, offered in (("0.20.21", True), ("", False)):
        world.proof = wire.Proof("/usr/bin/python3", (), {}, version, 1.0)
        world.start(user=f"ada{offered}")
        assert {one.pluto for one in world.guests.settings.values()} == {True, offered}


def test_a_cold_server_hears_which_kernels_would_wait() -> None:
    """A new notebook has the same kernel, warm or cold."""
    world = World()
    world.proof = wire.Proof("/usr/bin/python3", (), {"julia-1.12": "julia", "python3": "python"}, "", 1.0)
    world.cold.start(dataclasses.replace(SERVER, warm=Warm()), REQUEST)
    assert [one.kernels for one in world.guests.settings.values()] == [{"julia": 1}]


def test_docker_is_told_no_secret() -> None:
    world = World()
    world.start()
    assert "swordfish" not in str(world.container.spec)


def test_named_servers_share_a_home() -> None:
    world = World()
    world.start()
    assert world.start(server_name="b").name == "jupyter-ada--b"
    assert len(world.containers.containers) == 2
    assert len(world.containers.volumes) == 1


def test_a_leftover_is_replaced() -> None:
    world = World()
    first = world.start()
    assert world.start().id != first.id
    assert world.containers.named(first.id) is None


def test_a_container_of_somebody_else_is_left_alone() -> None:
    world = World()
    world.start()
    stranger = world.container
    stranger.spec = dataclasses.replace(stranger.spec, labels={})
    with pytest.raises(ContainerError, match="it is not hubagent's"):
        world.start()
    assert world.containers.named(stranger.id) is not None


CALLS = ("image", "inspect", "volume", "create", "start")


@pytest.mark.parametrize("call", CALLS)
@pytest.mark.parametrize("after", [False, True])
def test_a_start_that_fails_leaves_nothing_but_a_home(call: str, after: bool) -> None:
    world = World()
    world.containers.fail(call, after=after)
    with pytest.raises(HubagentError):
        world.start()
    assert world.is_clean()
    world.start()
    assert len(world.containers.containers) == 1


def test_a_container_that_docker_denies_having_made_is_replaced_by_the_next_start() -> None:
    world = World()
    world.start()
    world.containers.remove("jupyter-ada")
    world.containers.fail("create", after=True)
    with pytest.raises(ContainerError):
        world.start()
    denied = world.container.id  # nobody was told this
    assert world.start().id != denied
    assert len(world.containers.containers) == 1


@pytest.mark.parametrize(
    ("end", "message"),
    [
        ((3, False), r"The server ended while it started \(exit status 3\); hubagent's log says more."),
        ((137, True), "The server ran out of memory while it started."),
    ],
)
def test_a_container_that_ends_says_how(
    end: tuple[int, bool], message: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(listens=False)
    world.containers.on_start = lambda container: container.end(end[0], out_of_memory=end[1])
    with pytest.raises(SpawnError, match=message):
        world.start()
    assert "the last words" in caplog.text
    assert world.is_clean()


def test_a_container_that_is_removed_meanwhile() -> None:
    world = World(listens=False)
    world.containers.on_start = lambda container: world.containers.remove(container.id)
    with pytest.raises(SpawnError, match="was removed while it started"):
        world.start()
    assert world.is_clean()


def test_a_launcher_that_never_listens_is_given_up() -> None:
    world = World(listens=False)
    begun_s = world.clock.monotonic()
    with pytest.raises(GuestError, match="jupyter-ada: its launcher does not listen"):
        world.start()
    assert LISTENS_S < world.clock.monotonic() - begun_s < LISTENS_S + 5.0
    assert world.is_clean()


def test_a_launcher_that_refuses() -> None:
    world = World()
    world.containers.on_start = lambda container: world.guests.refuse(
        container.spec.labels["hubagent.guest"], "no such program"
    )
    with pytest.raises(GuestError, match="no such program"):
        world.start()
    assert world.is_clean()


def test_an_image_that_is_not_there() -> None:
    world = World()
    world.containers.images.clear()
    with pytest.raises(SpawnError, match="Image hubagent/julia is not on this server"):
        world.start()
    assert world.is_clean()
    assert not world.containers.volumes
