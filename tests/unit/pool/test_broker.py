"""What the hub may ask, and what it is told."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.config.kinds.types import ServerName
from hubagent.config.model import Config
from hubagent.config.model.servers import Server
from hubagent.pool.broker import Broker, Request
from hubagent.pool.cold import ColdStarts
from hubagent.pool.owners import Account
from hubagent.pool.ports import ContainerSpec, PoolPorts
from hubagent.pool.slots import Phase, Slot, Slots
from hubagent.pool.spec import Specs
from hubagent.pool.yielding import Yielding
from tests.fakes import FakeContainers, FakeGuests, FakeHomes, ManualClock, MemoryFileStore
from tests.unit.pool.volumes import volumes_on
from tests.waiting import wait_until

SERVER = Server(name=ServerName("julia"), title="Julia")
CREATE = wire.Create(
    "ada", "", "julia", {"JUPYTERHUB_API_TOKEN": "swordfish"}, ("jupyterhub-singleuser",), 8888
)
CLAIM = wire.Claim("ada", "", "julia", {"JUPYTERHUB_API_TOKEN": "swordfish"}, ("jupyterhub-singleuser",))


class Pool:
    """The pool's side: says what it was asked."""

    def __init__(self) -> None:
        self.answer: wire.Started | wire.Refused = wire.Refused("no_slot", "none is ready")
        self.all: list[Slot] = []
        self.asked: list[str] = []
        self.at_cold_start: Callable[[], object] = lambda: None  # before and after it

    def claim(self, claim: wire.Claim) -> wire.Started | wire.Refused:
        self.asked.append(f"claim {claim.user}")
        return self.answer

    @contextmanager
    def cold_start(self, user: str, server_name: str) -> Iterator[None]:
        self.asked.append(f"cold {user} {server_name}")
        self.at_cold_start()
        yield
        self.at_cold_start()

    def gone(self, container: str) -> None:
        self.asked.append(f"gone {container}")

    def slots(self) -> list[Slot]:
        return self.all


class World:
    def __init__(self) -> None:
        self.config: Config | None = Config(servers=(SERVER,))
        self.containers, self.guests, self.pool = FakeContainers(), FakeGuests(), Pool()
        self.homes = FakeHomes()
        no_slots = Slots(MemoryFileStore(), Path("/run/hubagent/guests"))
        self.yielding = Yielding(no_slots, self.homes, ManualClock())
        self.expected: list[Account] = []
        volumes = volumes_on(self.containers)
        ports = PoolPorts(self.containers, self.homes, self.guests, ManualClock())
        self.broker = Broker(
            ports,
            config=lambda: self.config,
            cold=ColdStarts(
                ports,
                specs=Specs(lambda: self.config, program=Path("/program")),
                volumes=volumes,
                proof=lambda image: None,
                told={},
            ),
            warm=self.pool,
            yielding=self.yielding,
            volumes=volumes,
            expect=self.expected.append,
        )

    def ask(self, request: Request) -> object:
        return self.broker.answer(request)

    def refusal(self, request: Request) -> wire.Refused:
        answer = self.ask(request)
        assert isinstance(answer, wire.Refused), answer
        return answer

    def running(self) -> wire.Started:
        answer = self.ask(CREATE)
        assert isinstance(answer, wire.Started), answer
        return answer

    def slot(self, *, user: str = "", phase: Phase = Phase.CLAIMED) -> str:
        """A slot with its container; the container's id."""
        spec = _spec("hubagent-slot-0123456789ab", {"hubagent.server": "julia", "hubagent.slot": "r"})
        container = self.containers.create(spec)
        self.containers.start(container)
        slot = Slot("0123456789ab", "julia", "r", phase, 0.0, container=container, user=user)
        self.pool.all.append(slot)
        return container


def _spec(name: str, labels: dict[str, str]) -> ContainerSpec:
    return ContainerSpec(
        name=name,
        image="hubagent/julia",
        command=(),
        environment={},
        labels=labels,
        network="hubagent",
        memory_bytes=1,
        cpus=1.0,
        processes=1,
    )


@pytest.fixture
def world() -> World:
    return World()


def test_who_has_signed_in_is_expected(world: World) -> None:
    assert world.ask(wire.Expect("ada", "a" * 32, 7.0)) == wire.Done()
    assert world.expected == [Account("ada", "a" * 32, 7.0)]


def test_the_life_of_a_server(world: World) -> None:
    started = world.running()
    assert world.pool.asked == ["cold ada "]
    for name in (started.name, started.id):
        assert world.ask(wire.Inspect(name)) == wire.Inspected(
            present=True, id=started.id, running=True, address=started.address
        )
    assert world.ask(wire.Output(started.name, 5)) == wire.Text("the last words\n")
    assert world.ask(wire.Stop(started.name)) == wire.Done()
    answer = world.ask(wire.Inspect(started.name))
    assert isinstance(answer, wire.Inspected)
    assert (answer.present, answer.running, answer.exit_code, answer.address) == (True, False, 143, "")
    assert world.ask(wire.Remove(started.name)) == wire.Done()
    assert world.ask(wire.Inspect(started.name)) == wire.Inspected(present=False)
    assert not world.guests.known(), "nothing of it is left"


def test_a_server_that_is_being_started_counts_as_running(world: World) -> None:
    """A hub that was killed asks for it when it is back, and would take any other answer for the server's end."""
    seen: list[object] = []
    world.pool.at_cold_start = lambda: seen.append(world.ask(wire.Inspect("jupyter-ada")))
    started = world.running()
    assert seen == [
        wire.Inspected(present=True, running=True),
        wire.Inspected(present=True, id=started.id, running=True, address=started.address),
    ]
    world.containers.stop(started.id, timeout_s=1)
    answer = world.ask(wire.Inspect(started.name))
    assert isinstance(answer, wire.Inspected)
    assert not answer.running, "its start is over"


def test_a_claim_is_the_pools(world: World) -> None:
    assert world.refusal(CLAIM).reason == "no_slot"
    world.pool.answer = wire.Started("id", "hubagent-slot-x", "172.18.0.9")
    assert world.ask(CLAIM) == world.pool.answer
    assert world.pool.asked == ["claim ada", "claim ada"]


@pytest.mark.parametrize("request_", [CLAIM, CREATE])
def test_only_declared_servers_are_started(world: World, request_: wire.Claim | wire.Create) -> None:
    answer = world.refusal(dataclasses.replace(request_, server="root-shell"))
    assert answer == wire.Refused("not_allowed", "The configuration has no server 'root-shell'.")
    world.config = None
    assert world.refusal(request_).reason == "not_allowed"
    assert world.pool.asked == []
    assert world.containers.journal == []


@pytest.mark.parametrize("verb", [wire.Inspect, wire.Stop, wire.Remove, lambda name: wire.Output(name, 3)])
def test_containers_of_others_are_out_of_reach(
    world: World, verb: type[wire.Inspect], caplog: pytest.LogCaptureFixture
) -> None:
    stranger = world.containers.create(_spec("postgres", {"hubagent.home": "x"}))
    world.containers.start(stranger)
    for name in ("postgres", stranger):
        assert world.refusal(verb(name)) == wire.Refused(
            "not_allowed", f"the container {name} is not hubagent's"
        )
    assert world.containers.named("postgres") is not None
    assert world.containers.calls("output") == []
    assert "is not hubagent's" in caplog.text


def test_what_is_absent_is_stopped_and_removed_already(world: World) -> None:
    assert world.ask(wire.Stop("jupyter-x")) == wire.Done()
    assert world.ask(wire.Remove("jupyter-x")) == wire.Done()
    assert world.ask(wire.Inspect("jupyter-x")) == wire.Inspected(present=False)
    assert world.refusal(wire.Output("jupyter-x", 5)).reason == "absent"


@pytest.mark.parametrize("name", ["hubagent-slot-0123456789ab", "jupyter-ada"])
def test_a_slot_answers_to_its_own_name_and_to_its_servers(world: World, name: str) -> None:
    container = world.slot(user="ada")
    answer = world.ask(wire.Inspect(name))
    assert isinstance(answer, wire.Inspected)
    assert (answer.present, answer.id, answer.running) == (True, container, True)
    assert world.ask(wire.Inspect("jupyter-bob")) == wire.Inspected(present=False)
    assert world.ask(wire.Remove(name)) == wire.Done()
    assert world.containers.named(container) is None
    assert world.pool.asked == [f"gone {container}"], "home and folder are the pool's to let go"
    assert world.guests.forgotten == []


def test_a_slot_that_nobody_has_answers_for_nobody(world: World) -> None:
    world.slot(phase=Phase.READY)
    assert world.ask(wire.Inspect("jupyter-ada")) == wire.Inspected(present=False)
    assert world.ask(wire.Inspect("jupyter-")) == wire.Inspected(present=False)


def test_failures_are_in_words_for_the_user(world: World, caplog: pytest.LogCaptureFixture) -> None:
    world.containers.missing_folders.add("/program")
    assert "The folder /program belongs in this server" in world.refusal(CREATE).message
    world.containers.missing_folders.clear()
    world.containers.networks.clear()
    assert "The container network hubagent is missing" in world.refusal(CREATE).message
    world.containers.networks.add("hubagent")
    world.containers.fail("start", "something odd")
    answer = world.refusal(CREATE)
    assert (answer.reason, "something odd" in answer.message) == ("engine", False)
    assert "something odd" in caplog.text
    world.containers.images.clear()
    assert world.refusal(CREATE).reason == "image"


def test_no_secret_is_logged(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    world.containers.fail("start")
    world.refusal(CREATE)
    world.refusal(dataclasses.replace(CLAIM, server="x"))
    assert caplog.text
    assert "swordfish" not in caplog.text


def test_docker_in_trouble_is_no_answer_about_a_container(world: World) -> None:
    started = world.running()
    world.containers.stop_engine()
    for request in (wire.Inspect(started.name), wire.Stop(started.name), wire.Remove(started.name)):
        assert world.refusal(request).reason == "engine"


def test_requests_about_one_server_wait_for_each_other(world: World) -> None:
    """A hub that gives up a start removes it at once, while the agent is still at work on it."""
    with ThreadPoolExecutor(2) as pool:
        with world.containers.hold("start"):
            create = pool.submit(world.ask, CREATE)
            wait_until(lambda: len(world.containers.calls("create")) == 2, timeout_s=20.0)
            remove = pool.submit(world.ask, wire.Remove("jupyter-ada"))
            other = world.ask(wire.Inspect("jupyter-bob"))
        assert isinstance(create.result(20.0), wire.Started)
        assert remove.result(20.0) == wire.Done()
    assert other == wire.Inspected(present=False), "others do not wait"
    assert world.containers.containers == {}


@pytest.mark.parametrize(("call", "request_type"), [("stop", wire.Stop), ("remove", wire.Remove)])
def test_the_end_of_a_server_has_docker_with_all_its_weight(
    world: World, call: str, request_type: type[wire.Stop | wire.Remove]
) -> None:
    """Also while Docker makes a slot."""
    started = world.running()
    with world.yielding.slot_in_the_making(), ThreadPoolExecutor(1) as pool:
        assert world.homes.idle
        with world.containers.hold(call):
            ended = pool.submit(world.ask, request_type(started.name))
            wait_until(lambda: not world.homes.idle, timeout_s=20.0)
        assert ended.result(20.0) == wire.Done()
        assert world.homes.idle


def test_starts_of_different_users_run_side_by_side(world: World) -> None:
    meeting = threading.Barrier(5)
    world.containers.on_start = lambda container: meeting.wait(20.0) and None
    users = [f"user{number}" for number in range(5)]
    with ThreadPoolExecutor(5) as pool:
        answers = pool.map(lambda user: world.ask(dataclasses.replace(CREATE, user=user)), users)
        assert all(isinstance(answer, wire.Started) for answer in answers)


def test_the_hub_says_whose_the_homes_are_and_who_is_gone(world: World) -> None:
    world.containers.volumes["jupyterhub-user-ada"] = {"hubagent.user": "ada"}
    world.containers.volumes_made_s["jupyterhub-user-ada"] = 50.0
    assert world.ask(wire.Known((wire.Person("ada", "a" * 32, 7.0),))) == wire.Done()
    owned = dataclasses.replace(CREATE, account="a" * 32, account_since_s=7.0)
    assert isinstance(world.ask(owned), wire.Started)
    assert world.ask(wire.Gone("ada", "a" * 32)) == wire.Done()
    later = dataclasses.replace(CREATE, account="b" * 32, account_since_s=1e9)
    assert world.refusal(later).reason == "foreign_home"
    world.containers.stop_engine()
    assert world.refusal(wire.Known((wire.Person("ada", "a" * 32, 7.0), wire.Person("x", "c", 0.0)))).reason


def test_a_decision_waits_for_starts_of_its_user_alone(world: World) -> None:
    begun, go_on = threading.Event(), threading.Event()

    @contextmanager
    def slow(user: str, server_name: str) -> Iterator[None]:
        begun.set()
        go_on.wait(10.0)
        yield

    world.pool.cold_start = slow  # type: ignore[assignment, method-assign]
    starts_ended = world.broker.starts_ended
    assert starts_ended({"ada"}, timeout_s=0.0)
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(world.ask, CREATE)
        assert begun.wait(10.0)
        assert not starts_ended({"ada", "eve"}, timeout_s=0.0)
        assert starts_ended({"eve"}, timeout_s=0.0)
        go_on.set()
        assert isinstance(start.result(10.0), wire.Started)
    assert starts_ended({"ada"}, timeout_s=10.0)


def test_what_lies_beside_the_home_of_an_older_server_is_kept(world: World) -> None:
    """One whose container says nothing of it: its user's files would go with it."""
    older = world.slot(user="ada")
    container = world.containers.containers[older]
    assert world.ask(wire.Remove(older)) == wire.Done()
    (command,) = container.ran
    assert command[-2:] == ("/opt/hubagent/hubagent/guest/rescue.py", "/home/jovyan/work")
    assert world.containers.named(older) is None

    newer = world.running()
    container = world.containers.containers[newer.id]
    assert world.ask(wire.Remove(newer.id)) == wire.Done()
    assert container.ran == []


def test_an_older_server_ends_though_nothing_of_it_could_be_kept(world: World) -> None:
    world.containers.fail("run", "no such file")
    older = world.slot(user="ada")
    assert world.ask(wire.Remove(older)) == wire.Done()
    assert world.containers.named(older) is None
