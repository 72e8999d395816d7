"""pool.ports.Containers: the fake and a real Docker (real_docker.py) give the same answers."""

from __future__ import annotations

import gc
import io
import os
import tarfile
import threading
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from hubagent.adapters.docker.container_arguments import may_raise_limits
from hubagent.adapters.docker.containers import DockerContainers
from hubagent.errors import ContainerError, EngineAbsentError, NameTakenError
from hubagent.pool.ports import Bind, Containers, ContainerSpec, ImageFacts
from tests.contract.real_docker import PASSWD, SLEEP, Engine, libraries
from tests.contract.unix_relay import UnixRelay
from tests.fakes import FakeContainers
from tests.waiting import wait_until

MIB = 1024**2

# Debian 12's python3-docker leaves a socket that cannot connect to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@dataclass(frozen=True)
class World:
    containers: Containers
    image: str
    prefix: str

    def spec(self, name: str = "one", **changes: Any) -> ContainerSpec:
        plain = ContainerSpec(
            name=f"{self.prefix}-{name}",
            image=self.image,
            command=SLEEP,
            environment={},
            labels={self.prefix: name},
            network="none",
            memory_bytes=64 * MIB,
            cpus=0.5,
            processes=20,
        )
        return replace(plain, **changes)


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, engine: Engine) -> Iterator[World]:
    prefix = f"t{uuid.uuid4().hex[:6]}"
    if request.param == "fake":
        fake = FakeContainers({engine.image: ImageFacts("sha256:1", "jovyan", SLEEP)})
        fake.files["/etc/passwd"] = PASSWD
        fake.missing_folders.add("/no/such/folder")
        yield World(fake, engine.image, prefix)
        return
    yield from _real(engine, prefix)


@pytest.fixture
def real(engine: Engine) -> Iterator[World]:
    yield from _real(engine, f"t{uuid.uuid4().hex[:6]}")


@pytest.fixture
def nice(engine: Engine) -> Iterator[World]:
    """As on a machine that is no container itself. What is made here cannot be started in one that is."""
    yield from _real(engine, f"t{uuid.uuid4().hex[:6]}", nice=True)


def _real(engine: Engine, prefix: str, *, nice: bool = False) -> Iterator[World]:
    containers = DockerContainers(engine.url, nice=nice)
    yield World(containers, engine.image, prefix)
    containers.close()
    with engine.sdk() as sdk:
        for found in sdk.containers(all=True, filters={"label": prefix}):
            sdk.remove_container(found["Id"], force=True)
        for volume in sdk.volumes(filters={"name": prefix})["Volumes"] or ():
            sdk.remove_volume(volume["Name"])


def test_an_image_has_an_id_a_user_and_a_command(world: World) -> None:
    facts = world.containers.image(world.image)
    assert facts is not None
    assert facts.id.startswith("sha256:")
    assert (facts.user, facts.command, facts.starts_as_root) == ("jovyan", SLEEP, False)
    assert world.containers.image(facts.id) == facts
    assert world.containers.image(f"{world.prefix}:latest") is None


def test_the_life_of_a_container(world: World) -> None:
    containers, spec = world.containers, world.spec()
    identifier = containers.create(spec)
    made = containers.inspect(spec.name)
    assert made is not None
    assert (made.id, made.name, made.running) == (identifier, spec.name, False)
    assert made.labels[world.prefix] == "one"
    image = containers.image(world.image)
    assert image is not None
    assert made.image_id == image.id
    assert abs(made.created_s - time.time()) < 3600.0
    assert containers.memory_bytes(identifier) is None
    assert containers.processor_s(identifier) is None

    containers.start(identifier)
    running = containers.inspect(identifier)
    assert running is not None
    assert running.running
    assert 0 < (containers.memory_bytes(identifier) or 0) <= 128 * MIB
    assert 0.0 < (containers.processor_s(identifier) or 0.0) < 60.0
    containers.weigh(identifier, cpu_shares=512)

    containers.stop(identifier, timeout_s=0)
    stopped = containers.inspect(identifier)
    assert stopped is not None
    assert not stopped.running
    assert stopped.exit_code != 0
    assert stopped.address == ""
    containers.stop(identifier, timeout_s=0)
    containers.remove(identifier)
    assert containers.inspect(spec.name) is None
    assert containers.inspect(identifier) is None


def test_a_program_runs_in_a_container_that_runs(world: World) -> None:
    containers, spec = world.containers, world.spec()
    identifier = containers.create(spec)
    with pytest.raises(ContainerError):
        containers.run(identifier, (SLEEP[0], "0"), timeout_s=30)
    containers.start(identifier)
    assert containers.run(identifier, (SLEEP[0], "0"), timeout_s=30) == 0
    containers.remove(identifier)
    with pytest.raises(ContainerError):
        containers.run(identifier, (SLEEP[0], "0"), timeout_s=30)


def test_a_name_is_taken_once(world: World) -> None:
    world.containers.create(world.spec())
    with pytest.raises(NameTakenError, match=f"cannot create {world.prefix}-one"):
        world.containers.create(world.spec())


def test_absent_ones_are_stopped_and_removed_already(world: World) -> None:
    absent = f"{world.prefix}-absent"
    assert world.containers.inspect(absent) is None
    assert world.containers.memory_bytes(absent) is None
    assert world.containers.processor_s(absent) is None
    world.containers.stop(absent, timeout_s=1)
    world.containers.remove(absent)
    world.containers.remove_volume(absent)
    for call in (world.containers.start, lambda name: world.containers.output(name, lines=3)):
        with pytest.raises(ContainerError, match=absent):
            call(absent)


def test_they_are_listed_by_label(world: World) -> None:
    label = world.prefix
    one, two = (world.containers.create(world.spec(name)) for name in ("one", "two"))
    world.containers.start(two)
    found = {facts.id: facts for facts in world.containers.list(label=label)}
    assert {identifier: facts.running for identifier, facts in found.items()} == {one: False, two: True}
    assert found[one].name == f"{world.prefix}-one"
    [facts] = world.containers.list(label=f"{label}=two")
    assert (facts.id, facts.labels[label]) == (two, "two")
    assert world.containers.list(label=f"{label}=three") == ()


def test_a_volume_lies_somewhere_on_the_host(world: World) -> None:
    name, containers = f"{world.prefix}-v", world.containers
    assert containers.volume_path(name) is None
    containers.create_volume(name, {"hubagent.user": "ada"})
    path = containers.volume_path(name)
    assert path is not None
    assert path.endswith(f"/{name}/_data")
    containers.create_volume(name, {"hubagent.user": "ada"})
    containers.remove_volume(name)
    assert containers.volume_path(name) is None


def test_what_is_known_of_a_volume(world: World) -> None:
    name, containers = f"{world.prefix}-v", world.containers
    assert containers.volume(name) is None
    begun_s = int(time.time())
    containers.create_volume(name, {"hubagent.user": "ada"})
    found = containers.volume(name)
    assert found is not None
    assert (found.name, found.labels) == (name, {"hubagent.user": "ada"})
    assert found.path == containers.volume_path(name)
    assert begun_s <= found.created_s <= time.time()
    assert found.created_s.is_integer()
    containers.create_volume(name, {"hubagent.account": "changed"})
    again = containers.volume(name)
    assert again is not None
    assert again.labels == found.labels, "labels stay as they were made"
    containers.remove_volume(name)
    assert containers.volume(name) is None


def test_volumes_are_listed_with_their_labels(world: World) -> None:
    containers, name = world.containers, f"{world.prefix}-labelled"
    containers.create_volume(name, {"hubagent.user": "ada"})
    containers.create_volume(f"{name}-not", {})
    ours = {one: labels for one, labels in containers.volume_labels().items() if one.startswith(name)}
    assert ours == {name: {"hubagent.user": "ada"}, f"{name}-not": {}}
    containers.remove_volume(name)
    assert name not in containers.volume_labels()


def test_a_container_brings_its_volume(world: World) -> None:
    name, containers = f"{world.prefix}-v", world.containers
    spec = world.spec(volume=(name, "/home/jovyan/work"), volume_labels={"hubagent.user": "ada"})
    identifier = containers.create(spec)
    assert containers.volume_path(name) is not None
    containers.own_folder(identifier, "/home/jovyan/work", (1000, 100))
    with pytest.raises(ContainerError, match=f"cannot remove the volume {name}"):
        containers.remove_volume(name)
    containers.remove(identifier)
    assert containers.volume_path(name) is not None, "homes stay"
    containers.remove_volume(name)


def test_files_are_read_out_of_a_container_that_never_ran(world: World) -> None:
    identifier = world.containers.create(world.spec())
    assert world.containers.read_file(identifier, "/etc/passwd") == PASSWD
    assert world.containers.read_file(identifier, "/etc/shadow") is None


def test_what_cannot_be_created_or_started_says_why(world: World) -> None:
    with pytest.raises(ContainerError, match="No such image"):
        world.containers.create(world.spec(image=f"{world.prefix}/absent:1"))
    bind = Bind("/no/such/folder", "/data", read_only=True)
    with pytest.raises(ContainerError, match="bind source path does not exist: /no/such/folder"):
        world.containers.create(world.spec(binds=(bind,)))
    identifier = world.containers.create(world.spec(network=f"{world.prefix}-nowhere"))
    with pytest.raises(ContainerError, match=f"network {world.prefix}-nowhere not found"):
        world.containers.start(identifier)


def test_calls_run_side_by_side(world: World) -> None:
    names = [str(number) for number in range(6)]

    def live(name: str) -> str:
        identifier = world.containers.create(world.spec(name))
        world.containers.start(identifier)
        world.containers.remove(identifier)
        return identifier

    with ThreadPoolExecutor(len(names)) as pool:
        assert len(set(pool.map(live, names))) == len(names)
    assert world.containers.list(label=world.prefix) == ()


class TestReal:
    """What only a real Docker, or its absence, can show."""

    def test_a_container_is_as_tight_as_it_is_meant_to_be(self, real: World, engine: Engine) -> None:
        found = self._inspection(real.spec(environment={"KEY": "{value}"}, port=8888), real, engine)
        host, config = found["HostConfig"], found["Config"]
        assert host["Memory"] == host["MemorySwap"] == 64 * MIB
        assert (host["CpuQuota"], host["CpuPeriod"], host["CpuShares"]) == (50_000, 100_000, 1024)
        assert host["PidsLimit"] == 20
        assert host["CapDrop"] == ["ALL"]
        assert not host["CapAdd"]
        assert host["SecurityOpt"] == ["no-new-privileges:true"]
        assert host["Init"] is True
        assert host["OomScoreAdj"] == 500
        assert host["LogConfig"] == {"Type": "local", "Config": {"max-size": "10m", "max-file": "2"}}
        assert not host["Ulimits"]
        assert host["NetworkMode"] == "none"
        assert host["RestartPolicy"]["Name"] in ("", "no")
        assert not host["Privileged"]
        assert not host["Binds"]
        assert not host["PortBindings"]
        assert "KEY={value}" in config["Env"]
        assert list(config["ExposedPorts"]) == ["8888/tcp"]
        assert config["Labels"][real.prefix] == "one"

    def test_kernels_may_step_back_and_come_back(self, nice: World, engine: Engine) -> None:
        host = self._inspection(nice.spec(), nice, engine)["HostConfig"]
        assert host["Ulimits"] == [{"Name": "nice", "Soft": 20, "Hard": 20}]
        extra = {"ulimits": [{"name": "nice", "soft": 10, "hard": 10}]}
        host = self._inspection(nice.spec("two", extra_host=extra), nice, engine)["HostConfig"]
        assert host["Ulimits"] == [{"Name": "nice", "Soft": 10, "Hard": 10}]

    @pytest.mark.parametrize(
        ("bound", "may"), [("000001ffffffffff", True), ("000001fffeffffff", False), ("0", False)]
    )
    def test_they_may_where_the_machine_has_the_privilege(
        self, tmp_path: Path, bound: str, may: bool
    ) -> None:
        status = tmp_path / "status"
        status.write_text(f"Name:\tsystemd\nCapBnd:\t{bound}\nSeccomp:\t0\n")
        assert may_raise_limits(status) is may

    def test_an_image_that_starts_as_root_keeps_what_it_needs(self, real: World, engine: Engine) -> None:
        found = self._inspection(real.spec(root_capabilities=True), real, engine)
        assert "SETUID" in " ".join(found["HostConfig"]["CapAdd"])

    def test_mounts(self, real: World, engine: Engine) -> None:
        spec = real.spec(
            binds=(
                Bind("/usr/share", "/opt/hubagent", read_only=True),
                Bind("/tmp", "/home/jovyan/work", read_only=False, propagation="rslave"),
            ),
            volume=(f"{real.prefix}-v", "/data"),
            volume_labels={"hubagent.user": "ada"},
        )
        found = {mount["Destination"]: mount for mount in self._inspection(spec, real, engine)["Mounts"]}
        assert (found["/opt/hubagent"]["RW"], found["/opt/hubagent"]["Propagation"]) == (False, "rprivate")
        home = found["/home/jovyan/work"]
        assert (home["RW"], home["Propagation"], home["Source"]) == (True, "rslave", "/tmp")
        assert (found["/data"]["Type"], found["/data"]["Name"]) == ("volume", f"{real.prefix}-v")
        with engine.sdk() as sdk:
            assert sdk.inspect_volume(f"{real.prefix}-v")["Labels"] == {"hubagent.user": "ada"}

    def test_what_the_configuration_adds(self, nice: World, engine: Engine) -> None:
        spec = nice.spec(
            extra={"labels": {"course": "numerics", nice.prefix: "other"}, "hostname": "lab"},
            extra_host={
                "shm_size": "256m",
                "ulimits": [{"name": "nofile", "soft": 1024, "hard": 1024}],
                "dns": ["192.0.2.1"],
            },
        )
        found = self._inspection(spec, nice, engine)
        host = found["HostConfig"]
        assert host["ShmSize"] == 256 * MIB
        assert {one["Name"]: one["Hard"] for one in host["Ulimits"]} == {"nice": 20, "nofile": 1024}
        assert host["Dns"] == ["192.0.2.1"]
        assert found["Config"]["Hostname"] == "lab"
        assert found["Config"]["Labels"] == {"course": "numerics", nice.prefix: "one"}

    @pytest.mark.parametrize("extra", [{"no_such_thing": 1}, {"healthcheck": 7}])
    def test_what_the_sdk_does_not_take_is_said(self, real: World, extra: dict[str, object]) -> None:
        with pytest.raises(ContainerError, match=f"cannot create {real.prefix}-one"):
            real.containers.create(real.spec(extra=extra))

    def test_a_program_that_fails_or_does_not_end_is_told(self, real: World) -> None:
        identifier = real.containers.create(real.spec())
        real.containers.start(identifier)
        assert real.containers.run(identifier, (SLEEP[0], "nonsense"), timeout_s=30) == 1
        with pytest.raises(ContainerError, match=r"did not finish within 0\.1 s"):
            real.containers.run(identifier, SLEEP, timeout_s=0.1)

    def test_a_new_weight_changes_no_limit(self, real: World, engine: Engine) -> None:
        identifier = real.containers.create(real.spec(cpu_shares=64))
        real.containers.start(identifier)
        with engine.sdk() as sdk:
            before = sdk.inspect_container(identifier)["HostConfig"]
            real.containers.weigh(identifier, cpu_shares=1024)
            after = sdk.inspect_container(identifier)["HostConfig"]
        assert before["CpuShares"] == 64
        assert after == {**before, "CpuShares": 1024}

    def test_a_new_volume_is_filled_and_given_to_the_user(self, real: World, engine: Engine) -> None:
        name = f"{real.prefix}-v"
        identifier = real.containers.create(real.spec(volume=(name, "/home/jovyan/work")))
        assert real.containers.read_file(identifier, "/home/jovyan/work/welcome.txt") == b"hello\n"
        real.containers.own_folder(identifier, "/home/jovyan/work", (1234, 99))
        with engine.sdk() as sdk:
            chunks, _ = sdk.get_archive(identifier, "/home/jovyan/work")
            content = io.BytesIO(b"".join(chunks))
        with tarfile.open(fileobj=content) as archive:
            folder = archive.getmember("work")
        assert (folder.uid, folder.gid, folder.mode & 0o777) == (1234, 99, 0o755)
        with pytest.raises(ContainerError, match="cannot give /absent/home"):
            real.containers.own_folder(identifier, "/absent/home", (1, 1))

    def test_a_volume_takes_another_folder_and_does_without(self, real: World, engine: Engine) -> None:
        """What a restore does: Docker looks a volume's folder up by its name each time."""
        root = Path(engine.url.removeprefix("unix://").removesuffix("/run/docker.sock") or "/")
        containers, name = real.containers, f"{real.prefix}-moved"
        containers.create_volume(name, {})
        path = root / str(containers.volume_path(name)).lstrip("/")
        (path / "old").touch()
        path.rename(path.with_name("aside"))
        path.mkdir()
        (path / "new").write_bytes(b"content")
        identifier = containers.create(real.spec(volume=(name, "/data")))
        assert containers.read_file(identifier, "/data/new") == b"content"
        assert containers.read_file(identifier, "/data/old") is None
        containers.remove(identifier)
        path.rename(path.with_name("aside too"))
        containers.remove_volume(name)
        assert containers.volume_path(name) is None
        assert not path.parent.exists()

    def test_a_volume_that_docker_mounts_at_use_has_no_place(self, real: World, engine: Engine) -> None:
        name = f"{real.prefix}-v"
        with engine.sdk() as sdk:
            sdk.create_volume(name, driver_opts={"type": "tmpfs", "device": "tmpfs"})
        assert real.containers.volume_path(name) == ""
        found = real.containers.volume(name)
        assert found is not None
        assert found.path == ""

    def test_what_is_written_into_a_volume_never_makes_it_look_older(
        self, real: World, engine: Engine
    ) -> None:
        """Accounts that are younger than a home do not get it by themselves."""
        root = Path(engine.url.removeprefix("unix://").removesuffix("/run/docker.sock") or "/")
        containers, name = real.containers, f"{real.prefix}-written"
        containers.create_volume(name, {})
        made = containers.volume(name)
        assert made is not None
        wait_until(lambda: time.time() > made.created_s + 2, lambda: "the next seconds", timeout_s=10.0)
        (root / made.path.lstrip("/") / "new").touch()
        written = containers.volume(name)
        assert written is not None
        assert made.created_s <= written.created_s <= time.time()

    def test_a_large_file_is_not_read(self, real: World) -> None:
        identifier = real.containers.create(real.spec())
        libc = next(name for name in libraries() if "libc.so" in name)
        with pytest.raises(ContainerError, match="larger than"):
            real.containers.read_file(identifier, str(Path(libc)))

    def test_the_last_lines_of_output(self, real: World) -> None:
        identifier = real.containers.create(real.spec(command=("/bin/sleep", "--no-such-option")))
        real.containers.start(identifier)

        def ended() -> bool:
            facts = real.containers.inspect(identifier)
            return facts is not None and not facts.running

        wait_until(ended, timeout_s=20.0)
        facts = real.containers.inspect(identifier)
        assert facts is not None
        assert facts.exit_code == 1
        assert "no-such-option" in real.containers.output(identifier, lines=5)
        assert real.containers.output(identifier, lines=1).count("\n") == 1

    def test_a_removal_in_progress_is_waited_for(self, real: World) -> None:
        identifier = real.containers.create(real.spec())
        real.containers.start(identifier)
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(real.containers.remove, [identifier] * 4))
        assert real.containers.inspect(identifier) is None

    def test_an_engine_that_is_absent_or_hangs_is_told_from_one_that_refuses(
        self, real: World, engine: Engine, tmp_path: Path
    ) -> None:
        relay = UnixRelay(tmp_path / "docker.sock", engine.url.removeprefix("unix://"))
        containers = DockerContainers(relay.url, quick_s=1)
        try:
            assert containers.image(engine.image) is not None
            relay.freeze()
            with pytest.raises(EngineAbsentError, match="Docker did not answer within 1 s"):
                containers.image(engine.image)
            relay.stop()
            with pytest.raises(EngineAbsentError, match="no connection to Docker"):
                containers.inspect("any")
            relay.start()
            assert containers.image(engine.image) is not None
            with pytest.raises(ContainerError, match="invalid reference format") as caught:
                containers.image("A B")
            assert not isinstance(caught.value, EngineAbsentError)
        finally:
            containers.close()
            relay.close()

    def test_few_connections_are_kept_whatever_was_asked_by_however_many(
        self, engine: Engine, tmp_path: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        relay = UnixRelay(tmp_path / "docker.sock", engine.url.removeprefix("unix://"))
        containers = DockerContainers(relay.url)
        try:
            for number in range(40):
                assert containers.inspect(f"none-{number}") is None
            assert relay.clients == 1
            with ThreadPoolExecutor(32) as pool:
                list(pool.map(containers.inspect, [f"none-{number}" for number in range(200)]))
            wait_until(lambda: relay.clients <= 1, lambda: f"{relay.clients} connections", timeout_s=10.0)
            assert caplog.messages == []
        finally:
            containers.close()
            relay.close()

    def test_an_engine_that_is_absent_costs_no_descriptor(self, engine: Engine, tmp_path: Path) -> None:
        """Not even until the next garbage collection."""

        def sockets() -> int:
            links = (entry for entry in Path("/proc/self/fd").iterdir() if entry.is_symlink())
            return sum(os.readlink(link).startswith("socket:") for link in links if link.exists())

        relay = UnixRelay(tmp_path / "docker.sock", engine.url.removeprefix("unix://"))
        containers = DockerContainers(relay.url)
        gc.disable()
        try:
            assert containers.inspect("none") is None
            relay.stop()
            before = sockets()
            for _ in range(5):
                with pytest.raises(EngineAbsentError):
                    containers.inspect("none")
            assert sockets() <= before
        finally:
            gc.enable()
            containers.close()
            relay.close()

    def test_a_list_agrees_with_an_inspection_on_what_runs(self, real: World, engine: Engine) -> None:
        identifier = real.containers.create(real.spec())
        real.containers.start(identifier)
        with engine.sdk() as sdk:
            sdk.pause(identifier)
            try:
                inspected = real.containers.inspect(identifier)
                (listed,) = real.containers.list(label=real.prefix)
            finally:
                sdk.unpause(identifier)
        assert inspected is not None
        assert inspected.running
        assert listed.running

    def test_one_caller_that_waits_holds_up_no_other(self, real: World) -> None:
        identifier = real.containers.create(real.spec())
        real.containers.start(identifier)  # sleep, as the first process under init, ends on SIGTERM
        done = threading.Event()

        def stop() -> None:
            real.containers.stop(identifier, timeout_s=10)
            done.set()

        thread = threading.Thread(target=stop)
        thread.start()
        assert real.containers.image(real.image) is not None
        thread.join(20.0)
        assert done.is_set()

    def _inspection(self, spec: ContainerSpec, real: World, engine: Engine) -> dict[str, Any]:
        identifier = real.containers.create(spec)
        with engine.sdk() as sdk:
            found: dict[str, Any] = sdk.inspect_container(identifier)
        return found
