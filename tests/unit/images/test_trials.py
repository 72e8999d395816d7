"""A server of nobody's for each changed entry of `servers`: found before a user finds it, and gone without a trace."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import PurePosixPath

import pytest

from hubagent import wire
from hubagent.config.kinds.types import ServerName
from hubagent.config.model import Config, Mount, MountMode, Server
from hubagent.config.model.hub import Hub
from hubagent.errors import ContainerError
from hubagent.images.ports import ImagePorts
from hubagent.images.proof import CPU_SHARES
from hubagent.images.trials import Trials
from hubagent.layout import (
    LABEL_GUEST,
    LABEL_PROOF,
    LABEL_SERVER,
    LABEL_SLOT,
    LABEL_TRIAL,
    LABEL_USER,
    NETWORK,
    Layout,
)
from hubagent.pool.ports import ContainerSpec
from hubagent.pool.spec import Specs
from tests.fakes.clock import ManualClock
from tests.fakes.containers_pool import Container, FakeContainers
from tests.fakes.files import MemoryFileStore
from tests.fakes.guests import FakeGuests
from tests.fakes.images import FakeImageEngine, FakeInputs
from tests.unit.images.shipped import MATERIAL
from tests.unit.pool.volumes import volumes_on

PROOF = wire.Proof(python="/usr/bin/python3", modules=(), kernels={}, pluto="", ready_s=2)
GPU = {
    "DockerSpawner": {"extra_host_config": {"device_requests": [{"Count": -1, "Capabilities": [["gpu"]]}]}}
}


def entry(name: str = "julia", **changes: object) -> Server:
    plain = Server(name=ServerName(name), title=name, image="hubagent/julia")
    return dataclasses.replace(plain, **changes)  # type: ignore[arg-type]


class World:
    """The trials of a machine; `restart` is a kill -9 of the agent and a start."""

    def __init__(self, *servers: Server) -> None:
        self.config: Config | None = Config(servers=servers)
        self.clock = ManualClock()
        self.files = MemoryFileStore()
        self.files.put_folder("/var/lib/hubagent")
        self.containers = FakeContainers(now=self.clock.time, on_start=self._start)
        self.guests = FakeGuests()
        self.proven = True
        self.fault: Callable[[ContainerSpec], str] = lambda _spec: ""  # why the server in a container ends
        self.specs: list[ContainerSpec] = []
        self.owned: list[dict[str, tuple[int, int]]] = []  # folders of each container, and whose they were
        self.told = 0
        self.restart()

    def restart(self) -> None:
        self.trials = Trials(
            ImagePorts(
                engine=FakeImageEngine(FakeContainers(), now=self.clock.time),  # no trial builds or pulls
                inputs=FakeInputs(MATERIAL),
                containers=self.containers,
                guests=self.guests,
                files=self.files,
                clock=self.clock,
            ),
            Layout(),
            config=lambda: self.config,
            specs=Specs(lambda: self.config),
            give_home=volumes_on(self.containers, clock=self.clock).give,
            proof=lambda _image: PROOF if self.proven else None,
            on_change=self._tell,
        )

    def edit(self, *servers: Server, hub: Hub | None = None) -> None:
        self.config = Config(servers=servers, hub=hub or Hub())

    def check(self, *, asked: bool = False) -> dict[str, str]:
        self.trials.check(asked=asked)
        return dict(self.trials.failed())

    @property
    def is_clean(self) -> bool:
        return not (self.containers.containers or self.containers.volumes or self.guests.known())

    def _tell(self) -> None:
        self.told += 1

    def _start(self, container: Container) -> None:
        self.specs.append(container.spec)
        self.owned.append(container.owned)
        why = self.fault(container.spec)
        if why:
            container.output = why
            container.end(1)
        else:
            self.guests.proofs[container.spec.labels[LABEL_GUEST]] = PROOF
            container.end(0)


def test_each_entry_is_tried_once_with_all_its_settings_and_nothing_stays() -> None:
    mount = Mount(PurePosixPath("/srv/course"), PurePosixPath("/course"), MountMode.READ_ONLY)
    declared = entry(mounts=(mount,), environment={"A": "b"}, memory_bytes=2**30, processes=99)
    world = World(declared, entry("other"))
    assert world.check() == {}
    spec, other = world.specs
    assert (spec.environment, spec.memory_bytes, spec.processes, spec.network) == (
        {"JULIA_CPU_THREADS": "2", "A": "b"},
        2**30,
        99,
        NETWORK,
    )
    assert "/srv/course" in [bind.source for bind in spec.binds]
    assert spec.volume is not None
    assert spec.volume[1] == str(declared.home)
    assert world.owned[0] == {str(declared.home): (1000, 100)}, "as a home is that is new"
    assert spec.cpu_shares == CPU_SHARES
    assert other.labels[LABEL_TRIAL] == "other"
    assert world.is_clean
    world.check()
    world.restart()
    assert world.check() == {}
    assert len(world.specs) == 2, "what was tried is remembered"


def test_a_trial_is_in_no_list_of_servers_slots_or_homes() -> None:
    """Those go by labels."""
    world = World(entry())
    world.check()
    (spec,) = world.specs
    assert not {LABEL_SERVER, LABEL_USER, LABEL_SLOT, LABEL_PROOF} & spec.labels.keys()
    assert spec.volume_labels == {LABEL_TRIAL: "julia"}
    assert spec.name.startswith("hubagent-trial-")


@pytest.mark.parametrize(
    "change",
    [
        {"memory_bytes": 2**31},
        {"environment": {"PYTHONPATH": "/nowhere"}},
        {"home": PurePosixPath("/elsewhere")},
        {"image": "other"},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_was_changed_is_tried_again_and_only_that(change: dict[str, object]) -> None:
    world = World(entry(), entry("other"))
    world.containers.images["other"] = dataclasses.replace(
        world.containers.images["hubagent/julia"], id="sha256:2"
    )
    world.check()
    world.edit(entry(**change), entry("other"))
    world.check()
    assert [spec.labels[LABEL_TRIAL] for spec in world.specs] == ["julia", "other", "julia"]


def test_settings_of_docker_for_all_servers_are_tried_with_each() -> None:
    world = World(entry(), entry("other"))
    world.check()
    world.edit(entry(), entry("other"), hub=Hub(traits=GPU))
    world.check()
    assert [spec.labels[LABEL_TRIAL] for spec in world.specs[2:]] == ["julia", "other"]
    assert all("device_requests" in spec.extra_host for spec in world.specs[2:])


def test_folders_that_are_not_there_are_found_and_forgiven_when_they_are() -> None:
    mount = Mount(PurePosixPath("/srv/course"), PurePosixPath("/course"), MountMode.READ_ONLY)
    world = World(entry(mounts=(mount,)), entry("other"))
    world.containers.missing_folders.add("/srv/course")
    assert "bind source path does not exist: /srv/course" in world.check()["julia"]
    assert world.is_clean
    assert world.told == 1
    world.containers.missing_folders.clear()
    assert "julia" in world.check(), "not tried at every check"
    assert world.check(asked=True) == {}
    assert world.told == 2


def test_a_server_that_ends_is_told_with_its_last_words() -> None:
    world = World(entry(environment={"PYTHONHOME": "/nowhere"}))
    world.fault = lambda spec: "Fatal Python error: no encodings" if "PYTHONHOME" in spec.environment else ""
    assert "no encodings" in world.check()["julia"]
    assert world.is_clean
    world.edit(entry())
    assert world.check() == {}


def test_failures_are_tried_again_ever_more_rarely() -> None:
    world = World(entry())
    world.fault = lambda _spec: "no"
    tries = []
    for _ in range(40):
        world.check()
        tries.append(len(world.specs))
        world.clock.advance(60.0)
    assert tries[-1] < 8
    world.fault = lambda _spec: ""
    world.clock.advance(3600.0)
    assert world.check() == {}


def test_an_image_that_is_not_there_or_not_proven_is_waited_for() -> None:
    world = World(entry())
    world.proven = False
    assert (world.check(), world.specs) == ({}, [])
    world.proven = True
    world.containers.images.clear()
    assert (world.check(), world.specs) == ({}, [])


def test_docker_that_is_away_says_nothing_against_an_entry() -> None:
    world = World(entry())
    world.containers.stop_engine()
    with pytest.raises(ContainerError):
        world.check()
    world.containers.start_engine()
    assert world.check() == {}


def test_an_entry_that_is_gone_is_no_problem_any_more() -> None:
    world = World(entry(), entry("other"))
    world.fault = lambda _spec: "no"
    assert set(world.check()) == {"julia", "other"}
    world.edit(entry())
    assert set(world.check()) == {"julia"}
    world.config = None
    assert world.check() == {}


def test_what_a_killed_agent_left_is_removed() -> None:
    world = World(entry())
    spec = world.trials._specs.trial(
        entry(), world.containers.images["hubagent/julia"], guest="ab", guest_folder="/f", cpu_shares=1
    )
    world.containers.create(spec)
    world.restart()
    world.check()
    assert world.is_clean


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"julia": 1}'])
def test_a_damaged_note_costs_a_trial_more(content: bytes) -> None:
    world = World(entry())
    world.check()
    world.files.write(Layout().trials, content, mode=0o600)
    world.restart()
    assert world.check() == {}
    assert len(world.specs) == 2
    assert set(json.loads(world.files.text(str(Layout().trials)))) == {"julia"}
