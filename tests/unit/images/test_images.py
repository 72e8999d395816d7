"""Images from configuration to rollout, on an engine in memory: what is built and pulled when, and every fault."""

from __future__ import annotations

import dataclasses
import itertools
import threading
from collections.abc import Callable

from hubagent import wire
from hubagent.config.kinds.types import ServerName
from hubagent.config.model import Build, Server
from hubagent.errors import StorageError
from hubagent.images.builder import Images
from hubagent.images.ports import ImagePorts
from hubagent.images.recipe import recipe
from hubagent.layout import LABEL_GUEST, LABEL_PROOF, LABEL_SERVER, Layout
from hubagent.pool.ports import ContainerSpec
from hubagent.state.status import ImageState, ImageStatus
from tests.fakes.clock import ManualClock
from tests.fakes.containers_pool import Container, FakeContainers
from tests.fakes.files import MemoryFileStore
from tests.fakes.guests import FakeGuests
from tests.fakes.images import FakeImageEngine, FakeInputs
from tests.unit.images.shipped import MATERIAL
from tests.waiting import wait_until

BUILD = Build(base="debian:bookworm-slim", julia="debian", packages=())
OTHER = dataclasses.replace(BUILD, apt=("fonts-dejavu",))
PROOF = wire.Proof(
    python="/opt/jupyter/bin/python3",
    modules=("jupyter_server",),
    kernels={"python3": "python"},
    pluto="",
    ready_s=2,
)
JULIA = "hubagent/julia"


def server(name: str = "julia", image: str = JULIA, build: Build | None = None) -> Server:
    return Server(name=ServerName(name), title=name, image=image, build=build)


def container(name: str, image: str, labels: dict[str, str]) -> ContainerSpec:
    return ContainerSpec(
        name=name,
        image=image,
        command=(),
        environment={},
        labels=labels,
        network="none",
        memory_bytes=1,
        cpus=1,
        processes=1,
    )


class World:
    """The images of a machine. `restart` is a kill -9 of the agent and a start."""

    def __init__(self, *servers: Server) -> None:
        self.servers = servers
        self.layout = Layout()
        self.clock = ManualClock()
        self.files = MemoryFileStore()
        self.files.put_folder("/var/lib/hubagent")
        self.containers = FakeContainers(now=self.clock.time, on_start=self._start)
        self.guests = FakeGuests()
        self.engine = FakeImageEngine(self.containers, now=self.clock.time)
        self.inputs = FakeInputs(MATERIAL, {"PIP_INDEX_URL": "https://mirror.example/simple"})
        self.broken: set[str] = set()  # ids of images whose server does not answer
        self.hangs = False
        self.proven: list[str] = []
        self.specs: list[ContainerSpec] = []
        self.seen: list[tuple[ImageStatus, ...]] = []
        self.restart()

    def restart(self) -> None:
        self.images = Images(
            ImagePorts(self.engine, self.inputs, self.containers, self.guests, self.files, self.clock),
            self.layout,
            servers=lambda: self.servers,
            on_change=lambda: self.seen.append(self.images.status()),
        )

    def _start(self, container: Container) -> None:
        self.specs.append(container.spec)
        self.proven.append(container.image_id)
        if self.hangs:
            return
        if container.image_id in self.broken:
            container.output = "Traceback\nModuleNotFoundError: No module named 'jupyterhub'\n"
            container.end(1)
            return
        self.guests.proofs[container.spec.labels[LABEL_GUEST]] = PROOF
        container.end(0)

    def status(self, name: str = "julia") -> ImageStatus:
        return next(one for one in self.images.status() if one.server == name)

    def tag(self, one: Server) -> str:
        assert one.build is not None
        return recipe(one.image, one.build, self.inputs.given).tag

    def states(self) -> list[ImageState]:
        """That the first server went through, each once in a row."""
        found = [statuses[0].state for statuses in self.seen if statuses]
        return [one for number, one in enumerate(found) if number == 0 or found[number - 1] is not one]


def test_a_recipe_is_built_proven_and_only_then_used() -> None:
    world = World(server(build=BUILD))
    named: list[str | None] = []
    world.engine.on_line = lambda: named.append(world.engine.image_id(JULIA))
    world.images.check()
    tag = world.tag(world.servers[0])
    built = world.engine.image_id(tag)
    assert built is not None
    assert world.engine.image_id(JULIA) == built
    assert named == [None, None, None]
    assert world.proven == [built]
    assert world.images.proof(built) == PROOF
    assert world.states() == [ImageState.BUILDING, ImageState.PROVING, ImageState.PRESENT]
    assert {"step 1 of 3", "step 3 of 3"} <= {one.progress for statuses in world.seen for one in statuses}
    status = world.status()
    assert (status.state, status.usable) == (ImageState.PRESENT, True)
    assert status.log is not None
    assert "Step 3/3" in world.files.text(status.log)
    assert world.engine.arguments == [{"PIP_INDEX_URL": "https://mirror.example/simple"}]
    assert world.engine.journal == [("build", tag), ("tag", JULIA)]


def test_nothing_is_done_twice() -> None:
    world = World(server(build=BUILD), server("pulled", "registry.example.org/x:1"))
    world.engine.add("registry.example.org/x:1")
    world.images.check()
    journal, proven = list(world.engine.journal), list(world.proven)
    world.images.check()
    world.restart()
    world.images.check()
    world.images.check(asked=True)
    assert (world.engine.journal, world.proven) == (journal, proven)
    assert {one.state for one in world.images.status()} == {ImageState.PRESENT}


def test_the_proof_runs_the_guest_without_a_network_and_leaves_nothing() -> None:
    world = World(server(build=BUILD))
    world.images.check()
    (spec,) = world.specs
    assert spec.network == "none"
    assert spec.command == ("/bin/sh", "/opt/hubagent/start")
    assert LABEL_SERVER not in spec.labels  # it is no user's server
    assert [(bind.target, bind.read_only) for bind in spec.binds] == [
        ("/opt/hubagent", True),
        ("/run/hubagent", False),
    ]
    assert world.containers.containers == {}
    assert world.guests.known() == ()


def test_a_killed_agents_proof_is_cleared_away() -> None:
    world = World(server(build=BUILD))
    world.engine.add("x:1")
    world.guests.prepare("0123456789ab", wire.GuestSettings(mode="prove"))
    labels = {LABEL_GUEST: "0123456789ab", LABEL_PROOF: "sha256:1"}
    world.containers.create(container("hubagent-proof-0123456789ab", "x:1", labels))
    world.images.check()
    assert world.containers.containers == {}
    assert "0123456789ab" in world.guests.forgotten


def test_a_changed_recipe_is_built_beside_the_one_that_serves() -> None:
    world = World(server(build=BUILD))
    world.images.check()
    first = world.engine.image_id(JULIA)
    world.servers = (server(build=OTHER),)
    during: list[tuple[str | None, bool]] = []
    world.engine.on_line = lambda: during.append((world.engine.image_id(JULIA), world.status().usable))
    world.images.check()
    assert set(during) == {(first, True)}
    assert world.engine.image_id(JULIA) == world.engine.image_id(world.tag(world.servers[0])) != first


def test_a_failed_build_leaves_the_old_image_and_says_where_it_stopped() -> None:
    world = World(server(build=BUILD))
    world.images.check()
    first = world.engine.image_id(JULIA)
    world.engine.breaks["debian:nosuch"] = "E: Unable to locate package nosuch"
    world.servers = (server(build=dataclasses.replace(BUILD, base="debian:nosuch")),)
    world.images.check()
    assert world.engine.image_id(JULIA) == first
    status = world.status()
    assert (status.state, status.usable) == (ImageState.FAILED, True)
    assert "step 2 of 3 failed: E: Unable to locate package nosuch" in status.detail
    assert status.log is not None
    assert status.log in status.detail
    assert "Unable to locate package nosuch" in world.files.text(status.log)


def test_a_failed_build_waits_longer_each_time_and_not_for_whoever_asks() -> None:
    world = World(server(build=BUILD))
    world.engine.breaks[BUILD.base] = "no space left on device"
    tries: list[float] = []
    begun = world.clock.monotonic()
    while world.clock.monotonic() - begun < 6 * 3600:
        before = len(world.engine.calls("build"))
        world.images.check()
        if len(world.engine.calls("build")) > before:
            tries.append(world.clock.monotonic() - begun)
        world.clock.advance(60)
    pauses = [after - before for before, after in itertools.pairwise(tries)]
    assert pauses == sorted(pauses)
    assert (pauses[0], pauses[-1]) == (60, 3600)
    world.images.check()
    count = len(world.engine.calls("build"))
    world.images.check(asked=True)
    assert len(world.engine.calls("build")) == count + 1


def test_another_recipe_is_tried_at_once() -> None:
    world = World(server(build=BUILD))
    world.engine.breaks[BUILD.base] = "broken"
    world.images.check()
    assert world.status().state is ImageState.FAILED
    world.servers = (server(build=dataclasses.replace(BUILD, base="debian:trixie")),)
    world.images.check()
    assert world.status().state is ImageState.PRESENT


def test_a_build_that_nobody_wants_any_more_is_given_up() -> None:
    world = World(server(build=BUILD))

    def edit() -> None:
        world.servers = (server(build=OTHER),)

    world.engine.on_line = edit
    world.images.check()
    assert world.engine.image_id(JULIA) is None
    world.images.check()
    assert world.engine.image_id(JULIA) == world.engine.image_id(world.tag(world.servers[0]))
    assert len(world.engine.calls("build")) == 2


def test_an_image_that_does_not_work_is_not_used() -> None:
    world = World(server(build=BUILD))
    world.images.check()
    first = world.engine.image_id(JULIA)
    world.servers = (server(build=OTHER),)
    world.broken.add(f"sha256:{2:064x}")
    world.images.check()
    assert world.engine.image_id(JULIA) == first
    status = world.status()
    assert (status.state, status.usable) == (ImageState.FAILED, True)
    assert "No module named 'jupyterhub'" in status.detail
    world.images.check()
    assert len(world.proven) == 2  # not again and again
    world.broken.clear()
    world.images.check(asked=True)
    assert world.engine.image_id(JULIA) == f"sha256:{2:064x}"
    assert world.status().state is ImageState.PRESENT


def test_something_doubtful_is_better_than_nothing() -> None:
    world = World(server(build=BUILD))
    world.broken.add(f"sha256:{1:064x}")
    world.images.check()
    assert world.engine.image_id(JULIA) == f"sha256:{1:064x}"
    assert world.images.proof(f"sha256:{1:064x}") is None
    assert (world.status().state, world.status().usable) == (ImageState.FAILED, True)


def test_a_server_that_never_answers_ends_its_proof() -> None:
    world = World(server(build=BUILD))
    world.hangs = True
    world.images.check()
    assert "no server answered within" in world.status().detail
    assert world.containers.containers == {}


# -- images that are pulled


def test_an_absent_image_is_pulled_and_proven_before_its_name_is_given() -> None:
    world = World(server(image="registry.example.org/x:1"))
    world.engine.registry["registry.example.org/x:1"] = "sha256:aa"
    named: list[str | None] = []
    world.engine.on_line = lambda: named.append(world.engine.image_id("registry.example.org/x:1"))
    world.images.check()
    assert named == [None, None]
    assert world.engine.image_id("registry.example.org/x:1") == world.engine.image_id(
        "registry.example.org/x@sha256:aa"
    )
    assert world.engine.journal == [("pull", "registry.example.org/x:1"), ("tag", "registry.example.org/x:1")]
    assert ImageState.PULLING in world.states()


def test_a_moved_tag_is_followed_when_asked_and_only_once_it_works() -> None:
    world = World(server(image="registry.example.org/x:1"))
    world.engine.registry["registry.example.org/x:1"] = "sha256:aa"
    world.images.check()
    first = world.engine.image_id("registry.example.org/x:1")
    world.engine.registry["registry.example.org/x:1"] = "sha256:bb"
    world.images.check()
    assert world.engine.image_id("registry.example.org/x:1") == first  # nobody asked
    world.broken.add(f"sha256:{2:064x}")
    world.images.check(asked=True)
    assert world.engine.image_id("registry.example.org/x:1") == first
    for _ in range(3):
        world.images.check()
        assert world.status().state is ImageState.FAILED  # until somebody asks again
        assert "does not work" in world.status().detail
        assert world.status().usable
    world.broken.clear()
    world.images.check(asked=True)
    assert world.engine.image_id("registry.example.org/x:1") == f"sha256:{2:064x}"
    assert world.status().state is ImageState.PRESENT
    assert len(world.engine.calls("pull")) == 2


def test_a_local_image_needs_no_registry() -> None:
    world = World(server(image="mine"))
    mine = world.engine.add("mine")
    world.images.check(asked=True)
    assert world.status().state is ImageState.PRESENT
    assert world.images.proof(mine) == PROOF
    assert world.engine.calls("pull") == []


def test_an_image_that_is_nowhere_is_named() -> None:
    world = World(server(image="nowhere"))
    world.images.check()
    status = world.status()
    assert (status.state, status.usable) == (ImageState.FAILED, False)
    assert status.detail == (
        "nowhere is not on this machine, and cannot be pulled: no registry has nowhere: not found"
    )


def test_a_name_that_was_moved_by_hand_to_a_bad_image_is_not_chosen() -> None:
    world = World(server(image="mine"))
    good = world.engine.add("mine")
    world.images.check()
    assert world.images.choice(world.servers[0]) == "mine"
    bad = world.engine.add("mine")
    world.broken.add(bad)
    world.images.check()
    assert world.images.choice(world.servers[0]) == good
    assert world.status().state is ImageState.FAILED
    better = world.engine.add("mine")
    world.images.check()
    assert world.images.choice(world.servers[0]) == "mine"
    assert world.engine.image_id("mine") == better


# -- what is old


def _series(world: World, count: int, after: Callable[[int], None] = lambda number: None) -> list[str]:
    made = []
    for number in range(count):
        world.servers = (server(build=dataclasses.replace(BUILD, apt=(f"package{number}",))),)
        world.images.check()
        made.append(world.engine.image_id(JULIA) or "")
        after(number)
        world.clock.advance(10)
    return made


def test_the_last_three_are_kept() -> None:
    world = World()
    made = _series(world, 6)
    assert set(world.engine.images) == set(made[-3:])
    assert {image for image in made if world.images.proof(image)} == set(made[-3:])
    kept = [name for name in world.files.list_dir(world.layout.images) if name.endswith(".log")]
    assert len(kept) == 3


def test_an_image_with_a_container_is_kept() -> None:
    world = World()

    def use(number: int) -> None:
        if number == 0:
            world.containers.create(container("jupyter-ada", JULIA, {}))

    made = _series(world, 6, use)
    assert set(world.engine.images) == {made[0], *made[-3:]}
    world.containers.remove("jupyter-ada")
    world.clock.advance(600)
    world.images.check()
    assert set(world.engine.images) == set(made[-3:])


def test_an_image_that_somebody_gave_a_name_is_kept() -> None:
    world = World()

    def name(number: int) -> None:
        if number == 1:
            world.engine.tag(JULIA, "exam/2026")

    made = _series(world, 6, name)
    assert set(world.engine.images) == {made[1], *made[-3:]}


def test_pulled_images_go_too() -> None:
    world = World(server(image="registry.example.org/x:1"))
    other = world.engine.add("somebody/elses")
    for digest in ("aa", "bb", "cc", "dd", "ee"):
        world.engine.registry["registry.example.org/x:1"] = f"sha256:{digest}"
        world.images.check(asked=True)
    assert len(world.engine.images) == 4
    assert other in world.engine.images


# -- faults


def test_without_docker_nothing_is_said_and_nothing_lost() -> None:
    world = World(server(build=BUILD))
    world.images.check()
    world.engine.stop_engine()
    world.images.check()
    assert world.status().state is ImageState.PRESENT
    world.engine.start_engine()
    world.images.check()
    assert world.status().state is ImageState.PRESENT
    assert len(world.engine.calls("build")) == 1


def test_a_full_disk_is_reported_before_a_build() -> None:
    world = World(server(build=BUILD))
    world.files.free = 10**8
    world.images.check()
    assert world.engine.calls("build") == []
    assert "only 95 MiB are free" in world.status().detail
    world.files.free = 10**11
    world.clock.advance(60)
    world.images.check()
    assert world.status().state is ImageState.PRESENT


def test_a_proof_that_cannot_be_kept_is_tried_again() -> None:
    world = World(server(build=BUILD))
    world.files.fail("write", f"{world.layout.images}/{1:064x}.json", "disk full")
    world.images.check()
    assert world.status().state is ImageState.FAILED
    assert world.engine.image_id(JULIA) is None
    world.images.check()
    assert world.status().state is ImageState.PRESENT


def test_what_is_kept_can_be_spoiled() -> None:
    world = World(server(build=BUILD))
    world.images.check()
    built = world.engine.image_id(JULIA)
    assert built is not None
    world.files.put(f"{world.layout.images}/{built.removeprefix('sha256:')}.json", "{}")
    world.files.put(f"{world.layout.images}/rollouts.json", "[1]")
    world.restart()
    world.images.check()
    assert world.images.proof(built) == PROOF
    assert len(world.proven) == 2
    assert len(world.engine.calls("build")) == 1


def test_one_servers_trouble_is_not_anothers() -> None:
    world = World(server("bad", "x", dataclasses.replace(BUILD, julia="7.3")), server("good", "y", BUILD))
    world.images.check()
    assert "Julia 7.3 is not known" in world.status("bad").detail
    assert world.status("good").state is ImageState.PRESENT


def test_a_server_that_is_gone_is_no_longer_reported() -> None:
    world = World(server("a", "x", BUILD), server("b", "y", BUILD))
    world.images.check()
    world.servers = world.servers[:1]
    world.images.check()
    assert [one.server for one in world.images.status()] == ["a"]


def test_the_agents_own_files_can_be_missing() -> None:
    world = World(server(build=BUILD))
    world.inputs.fault = StorageError("/usr/share/hubagent/image: has no Dockerfile; reinstall hubagent")
    world.images.check()
    assert "reinstall hubagent" in world.status().detail


def test_the_thread_looks_when_it_is_woken_and_stops() -> None:
    world = World(server(image="mine"))
    first = threading.active_count()
    world.images.start()
    world.engine.add("mine")
    world.images.wake(asked=True)
    wait_until(lambda: any(one.state is ImageState.PRESENT for one in world.images.status()), timeout_s=10.0)
    world.images.stop()
    wait_until(lambda: threading.active_count() == first, timeout_s=10.0)
