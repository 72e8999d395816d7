"""ContainerRuntime: the fake and a real engine (real_docker.py) give the same answers."""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import docker
import pytest

from hubagent.adapters.docker.engine import DockerEngine
from hubagent.errors import ContainerError
from hubagent.ports import Container, ContainerRuntime, EngineFacts
from tests.contract.real_docker import Engine
from tests.contract.unix_relay import UnixRelay
from tests.fakes import FakeContainerRuntime
from tests.waiting import wait_until

# Debian 12's python3-docker leaves a socket that cannot connect to the garbage collector.
pytestmark = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@dataclass(frozen=True)
class World:
    runtime: ContainerRuntime
    image: str
    start: Callable[[str, dict[str, str]], None]
    """Run a container by name with labels."""
    prefix: str


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, engine: Engine) -> Iterator[World]:
    prefix = f"t{uuid.uuid4().hex[:6]}"
    if request.param == "fake":
        fake = FakeContainerRuntime(images={engine.image: "sha256:1"})

        def add(name: str, labels: dict[str, str]) -> None:
            fake.running.append(Container(f"id-{name}", name, engine.image, "running", labels))

        yield World(fake, engine.image, add, prefix)
        return
    made: list[str] = []

    def run(name: str, labels: dict[str, str]) -> None:
        made.append(_run(engine, name, labels))

    real = DockerEngine(engine.url)
    yield World(real, engine.image, run, prefix)
    real.close()
    with engine.sdk() as sdk:
        for container in made:
            sdk.remove_container(container, force=True)
        for network in sdk.networks():
            if network["Name"].startswith(prefix):
                sdk.remove_network(network["Id"])


def test_the_engine_tells_about_itself(world: World) -> None:
    facts = world.runtime.facts()
    assert isinstance(facts, EngineFacts)
    assert int(facts.version.partition(".")[0]) >= 20


def test_an_absent_network_or_image_is_none(world: World) -> None:
    assert world.runtime.network(world.prefix) is None
    assert world.runtime.image_id(f"{world.prefix}:latest") is None


def test_an_image_has_an_id(world: World) -> None:
    assert (world.runtime.image_id(world.image) or "").startswith("sha256:")


def test_a_made_network_is_found_with_its_gateway(world: World) -> None:
    made = world.runtime.create_network(world.prefix, bridge=world.prefix)
    assert world.runtime.network(world.prefix) == made
    assert made.name == world.prefix
    assert made.gateway.count(".") == 3
    assert made.labels == {"hubagent.network": world.prefix}


def test_a_network_is_found_by_its_whole_name_alone(world: World) -> None:
    world.runtime.create_network(f"{world.prefix}-long", bridge=world.prefix)
    assert world.runtime.network(world.prefix) is None


def test_a_network_is_made_once(world: World) -> None:
    world.runtime.create_network(world.prefix, bridge=world.prefix)
    with pytest.raises(ContainerError, match=f"the network {world.prefix} cannot be created: it exists"):
        world.runtime.create_network(world.prefix, bridge=f"{world.prefix}b")


def test_a_made_network_tells_how_it_is_made_and_goes_again(world: World) -> None:
    made = world.runtime.create_network(world.prefix, bridge=world.prefix)
    assert (made.bridge, made.isolated) == (world.prefix, True)
    assert made in world.runtime.networks()
    world.runtime.remove_network(world.prefix)
    world.runtime.remove_network(world.prefix)
    assert world.runtime.network(world.prefix) is None
    assert made not in world.runtime.networks()


def test_an_engine_as_debian_ships_it_is_in_no_swarm_and_has_its_data_in_the_usual_place(
    world: World,
) -> None:
    facts = world.runtime.facts()
    assert world.runtime.swarm() == facts.swarm
    assert (facts.in_swarm, facts.swarm) == (False, "inactive")
    assert (facts.userns_remap, facts.rootless) == (False, False)


def test_containers_are_found_by_label(world: World) -> None:
    label = f"{world.prefix}.user"
    world.start(f"{world.prefix}-a", {label: "ada", "other": "1"})
    world.start(f"{world.prefix}-b", {label: "bob"})
    world.start(f"{world.prefix}-c", {"other": "1"})
    found = world.runtime.containers(label=label)
    assert {container.name for container in found} == {f"{world.prefix}-a", f"{world.prefix}-b"}
    assert {container.state for container in found} == {"running"}
    assert {container.image for container in found} == {world.image}
    (ada,) = world.runtime.containers(label=f"{label}=ada")
    assert ada.labels[label] == "ada"
    assert ada.labels["other"] == "1"
    assert world.runtime.containers(label=f"{label}=carol") == ()


class TestReal:
    """What only a real engine, or its absence, can show."""

    @pytest.fixture
    def relay(self, engine: Engine, tmp_path: Path) -> Iterator[UnixRelay]:
        relay = UnixRelay(tmp_path / "docker.sock", engine.url.removeprefix("unix://"))
        yield relay
        relay.close()

    @pytest.fixture
    def runtime(self, relay: UnixRelay) -> Iterator[DockerEngine]:
        runtime = DockerEngine(relay.url, timeout_s=1)
        yield runtime
        runtime.close()

    def test_the_network_keeps_containers_apart(self, runtime: DockerEngine, engine: Engine) -> None:
        name = f"t{uuid.uuid4().hex[:6]}"
        runtime.create_network(name, bridge=name)
        with engine.sdk() as sdk:
            options = sdk.inspect_network(name)["Options"]
            sdk.remove_network(name)
        assert options["com.docker.network.bridge.name"] == name
        assert options["com.docker.network.bridge.enable_icc"] == "false"

    def test_a_network_made_by_somebody_else_is_seen_as_it_is(
        self, runtime: DockerEngine, engine: Engine
    ) -> None:
        name = f"t{uuid.uuid4().hex[:6]}"
        with engine.sdk() as sdk:
            made = sdk.create_network(name, driver="bridge")["Id"]
        network = runtime.network(name)
        assert network is not None
        assert (network.bridge, network.isolated) == (f"br-{made[:12]}", False)
        assert name not in {one.name for one in runtime.networks()}  # it is not labelled as ours
        runtime.remove_network(name)

    def test_one_whose_gateway_nobody_named_has_the_first_address(
        self, runtime: DockerEngine, engine: Engine
    ) -> None:
        """Newer Dockers do not say then which it is."""
        name = f"t{uuid.uuid4().hex[:6]}"
        with engine.sdk() as sdk:
            pool = docker.types.IPAMPool(subnet="172.29.240.0/24")
            sdk.create_network(name, ipam=docker.types.IPAMConfig(pool_configs=[pool]))
            network = runtime.network(name)
            sdk.remove_network(name)
        assert network is not None
        assert network.gateway == "172.29.240.1"

    def test_a_network_that_a_running_container_is_in_stays(
        self, runtime: DockerEngine, engine: Engine
    ) -> None:
        name = f"t{uuid.uuid4().hex[:6]}"
        runtime.create_network(name, bridge=name)
        with engine.sdk() as sdk:
            container = sdk.create_container(
                engine.image, ["/bin/sleep", "600"], host_config=sdk.create_host_config(network_mode=name)
            )["Id"]
            sdk.start(container)
            with pytest.raises(ContainerError, match=f"cannot remove the network {name}: .*active endpoints"):
                runtime.remove_network(name)
            sdk.remove_container(container, force=True)
        runtime.remove_network(name)
        assert runtime.network(name) is None

    def test_a_member_of_a_swarm_says_so(self, engine: Engine) -> None:
        runtime = DockerEngine(engine.url)
        with engine.sdk() as sdk:
            sdk.init_swarm(advertise_addr="127.0.0.1")
            try:
                assert (runtime.swarm(), runtime.facts().swarm) == ("active", "active")
                assert runtime.facts().in_swarm
            finally:
                sdk.leave_swarm(force=True)
                sdk.remove_network("docker_gwbridge")
        wait_until(lambda: runtime.swarm() == runtime.facts().swarm == "inactive", timeout_s=10.0)
        runtime.close()

    def test_stopped_containers_are_found_too(self, runtime: DockerEngine, engine: Engine) -> None:
        label = f"t{uuid.uuid4().hex[:6]}"
        container = _run(engine, label, {label: ""})
        with engine.sdk() as sdk:
            sdk.kill(container)
            try:
                wait_until(
                    lambda: [each.state for each in runtime.containers(label=label)] == ["exited"],
                    timeout_s=10.0,
                )
            finally:
                sdk.remove_container(container, force=True)

    def test_nothing_is_asked_before_the_first_call(self, tmp_path: Path) -> None:
        runtime = DockerEngine(f"unix://{tmp_path}/absent.sock")
        with pytest.raises(
            ContainerError, match=r"no connection to Docker at unix://.*systemctl status docker"
        ):
            runtime.facts()
        runtime.close()

    def test_an_engine_that_comes_back_is_used_again(self, runtime: DockerEngine, relay: UnixRelay) -> None:
        for _ in range(3):
            assert runtime.facts().version
            relay.stop()
            with pytest.raises(ContainerError, match="no connection to Docker"):
                runtime.facts()
            relay.start()

    def test_an_engine_that_hangs_meets_the_deadline(self, runtime: DockerEngine, relay: UnixRelay) -> None:
        assert runtime.facts().version
        relay.freeze()
        begin = time.monotonic()
        with pytest.raises(ContainerError, match="Docker did not answer within 1 s"):
            runtime.facts()
        assert time.monotonic() - begin < 5.0
        relay.stop()
        relay.start()
        assert runtime.facts().version

    def test_what_the_engine_refuses_is_said_in_its_words(self, runtime: DockerEngine) -> None:
        with pytest.raises(ContainerError, match=r"cannot look up the image A B: .*invalid reference format"):
            runtime.image_id("A B")

    def test_containers_and_outages_give_hints(
        self, runtime: DockerEngine, relay: UnixRelay, engine: Engine
    ) -> None:
        hints = threading.Semaphore(0)
        runtime.watch(hints.release)
        assert hints.acquire(timeout=10.0)  # listening now
        name = f"t{uuid.uuid4().hex[:6]}"
        container = _run(engine, name, {})
        with engine.sdk() as sdk:
            sdk.remove_container(container, force=True)
        for _ in ("create", "start", "die", "destroy"):
            assert hints.acquire(timeout=10.0)
        relay.stop()
        relay.start()
        assert hints.acquire(timeout=10.0)

    def test_a_network_is_remembered_until_something_happens_to_it(
        self, runtime: DockerEngine, relay: UnixRelay, engine: Engine
    ) -> None:
        name = f"t{uuid.uuid4().hex[:6]}"
        runtime.create_network(name, bridge=name)
        assert runtime.network(name) is not runtime.network(name)  # nobody would tell of its end
        runtime.watch(lambda: None)
        wait_until(lambda: runtime.network(name) is runtime.network(name), timeout_s=10.0)
        relay.stop()
        relay.start()
        wait_until(lambda: runtime.network(name) is runtime.network(name), timeout_s=10.0)
        with engine.sdk() as sdk:
            sdk.remove_network(name)
        wait_until(lambda: runtime.network(name) is None, timeout_s=10.0)

    def test_closing_ends_the_listener_in_any_state(self, engine: Engine, tmp_path: Path) -> None:
        for url in (engine.url, f"unix://{tmp_path}/absent.sock"):
            runtime = DockerEngine(url)
            hints = threading.Semaphore(0)
            runtime.watch(hints.release)
            if url == engine.url:
                assert hints.acquire(timeout=10.0)
            begin = time.monotonic()
            runtime.close()
            assert time.monotonic() - begin < 3.0


def _run(engine: Engine, name: str, labels: dict[str, str]) -> str:
    with engine.sdk() as sdk:
        container: str = sdk.create_container(
            engine.image,
            ["/bin/sleep", "600"],
            name=name,
            labels=labels,
            host_config=sdk.create_host_config(network_mode="none"),
        )["Id"]
        sdk.start(container)
    return container
