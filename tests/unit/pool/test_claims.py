"""Claims: a slot becomes one user's server, or nobody's, whatever goes wrong and whenever."""

from __future__ import annotations

import dataclasses
import json
import threading
import time
from pathlib import PurePosixPath

import pytest

from hubagent import wire
from hubagent.config.model import Mount, MountMode, Warm
from hubagent.layout import LABEL_SERVER
from hubagent.pool.claims import folders_in_home
from hubagent.pool.events import ClaimResult, SpawnKind
from hubagent.pool.home_check import AGAIN_S, VOLUME
from hubagent.pool.ports import ContainerSpec
from hubagent.pool.slots import Phase
from hubagent.pool.volumes import FOREIGN
from tests.fakes.homes_pool import HOMES
from tests.unit.pool.mortal import Killed, Life
from tests.unit.pool.world import GUESTS, World, claim, together, together_with
from tests.waiting import wait_until


def ready(warm: Warm | None = None, **server: object) -> World:
    world = World(warm, **server)
    world.settle()
    return world


def all_of_one_user(world: World) -> list[str]:
    """Phases of the slots that are, or were, ada's."""
    return [slot.phase.value for slot in world.slots.all() if slot.user == "ada"]


def test_the_user_gets_a_slot_with_home_limits_and_environment() -> None:
    world = ready(environment={"LECTURE": "7", "LANG": "C"})
    slot = world.ready()[0]
    asked = dataclasses.replace(claim("ada"), environment={"JUPYTERHUB_API_TOKEN": "secret", "LANG": "de"})
    assert world.pool.claim(asked) == wire.Started(slot.container, slot.name, slot.address)
    assert world.homes.attached[slot.id].source == f"{HOMES}/jupyterhub-user-ada/_data"
    container = world.containers.named(slot.container)
    assert container is not None
    assert container.cpu_shares == 1024
    became = world.guests.became[slot.id]
    assert became.environment == {"LECTURE": "7", "LANG": "de", "JUPYTERHUB_API_TOKEN": "secret"}
    assert became.command == ("jupyterhub-singleuser",)
    assert (became.device, became.inode) != (0, 0)
    claimed = world.slots.get(slot.id)
    assert claimed is not None
    assert (claimed.phase, claimed.user) == (Phase.CLAIMED, "ada")
    assert world.pool.users() == {slot.container: "ada"}
    assert world.counts.claims == {("julia", ClaimResult.HIT): 1}
    assert world.counts.spawns == {SpawnKind.WARM: 1}


def test_no_secret_is_written_down() -> None:
    world = ready()
    world.claim("ada")
    assert not [path for path, content in world.files.contents().items() if b"token" in content]


def test_200_claims_on_10_slots() -> None:
    world = ready(Warm(ready=10))
    slots = world.ready()
    assert len(slots) == 10
    answers = together(200, lambda number: world.claim(f"user{number}"))
    started = [answer for answer in answers if isinstance(answer, wire.Started)]
    refused = [answer for answer in answers if isinstance(answer, wire.Refused)]
    assert sorted(answer.id for answer in started) == sorted(slot.container for slot in slots)
    assert {answer.reason for answer in refused} == {"no_slot"}
    assert len(refused) == 190
    assert len({one.source for one in world.homes.attached.values()}) == 10
    owners = {slot.id: slot.user for slot in world.slots.all()}
    for guest, became in world.guests.became.items():
        assert became.environment == {"JUPYTERHUB_API_TOKEN": f"token-of-{owners[guest]}"}
        assert world.homes.attached[guest].source == f"{HOMES}/jupyterhub-user-{owners[guest]}/_data"
    assert world.counts.claims == {("julia", ClaimResult.HIT): 10, ("julia", ClaimResult.MISS): 190}


def test_a_server_without_warm_is_always_cold() -> None:
    world = ready()
    world.configure(None)
    answer = world.claim()
    assert isinstance(answer, wire.Refused)
    assert answer.reason == "no_slot"
    assert not world.counts.claims


def test_an_edit_counts_for_the_very_next_claim() -> None:
    """A slot that was made from what the file said before has other limits, mounts or environment."""
    world = ready()
    world.configure(Warm(ready=2), environment={"NEW": "1"})
    answer = world.claim()
    assert isinstance(answer, wire.Refused)
    assert answer.reason == "no_slot"
    world.settle()
    assert isinstance(world.claim(), wire.Started)


def test_folders_within_the_home_come_with_it() -> None:
    mounts = (
        Mount(PurePosixPath("/srv/course"), PurePosixPath("/home/jovyan/work/course")),
        Mount(PurePosixPath("/srv/shared"), PurePosixPath("/home/jovyan/work/a/b"), MountMode.READ_WRITE),
        Mount(PurePosixPath("/srv/data"), PurePosixPath("/data")),
    )
    world = ready(mounts=mounts)
    world.claim()
    (attached,) = world.homes.attached.values()
    assert attached.folders == (
        wire.Folder("/srv/course", "course", read_only=True),
        wire.Folder("/srv/shared", "a/b", read_only=False),
    )


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (lambda world: world.homes.fail("attach", "the disk is full"), "home"),
        (lambda world: world.homes.fail("attach", "no answer", after=True), "home"),
        (lambda world: world.guests.refuse(world.ready()[0].id), "guest"),
        (lambda world: world.files.fail("write", GUESTS), "engine"),
    ],
)
def test_any_failure_means_a_cold_start_and_the_end_of_the_slot(fault, reason: str) -> None:  # type: ignore[no-untyped-def]
    world = ready()
    fault(world)
    answer = world.claim("ada")
    assert isinstance(answer, wire.Refused)
    assert answer.reason == reason
    assert world.counts.claims == {("julia", ClaimResult.FAIL): 1}
    with world.pool.cold_start("ada", ""):
        assert not [
            one
            for one in world.containers.containers.values()
            if one.spec.labels["hubagent.guest"] in world.guests.became
        ], "a server that failed half-way would write into the home that the cold one has"
    world.pass_time(60)
    assert all_of_one_user(world) == []
    assert len(world.ready()) == 2
    assert world.leftovers() == {}
    assert isinstance(world.claim("ada"), wire.Started)


def test_a_slot_that_died_unnoticed_is_passed_over() -> None:
    world = ready()
    dead, alive = world.ready()
    world.guests.die(dead.id)
    answer = world.claim("ada")
    assert isinstance(answer, wire.Started)
    assert answer.id == alive.container
    assert dead.id not in world.homes.attached
    world.pass_time(60)
    assert all_of_one_user(world) == ["claimed"]
    assert world.leftovers() == {}


def test_when_all_have_died_unnoticed_the_start_is_cold() -> None:
    world = ready()
    for slot in world.ready():
        world.guests.die(slot.id)
    answer = world.claim("ada")
    assert isinstance(answer, wire.Refused)
    assert answer.reason == "no_slot"
    assert not world.homes.attached


def test_a_home_that_is_missing_costs_no_slot() -> None:
    world = ready()
    before = world.ready()
    world.no_home_for.add("ada")
    answer = world.claim("ada")
    assert isinstance(answer, wire.Refused)
    assert answer.reason == "home"
    assert world.ready() == before
    assert isinstance(world.claim("bob"), wire.Started)


def test_a_home_that_docker_alone_can_mount_is_left_to_a_cold_start() -> None:
    world = ready()
    world.only_docker_mounts.add("ada")
    answer = world.claim("ada")
    assert isinstance(answer, wire.Refused)
    assert answer.reason == "home"
    assert len(world.ready()) == 2


@pytest.mark.parametrize("slow", ["attach", "become", "remove"])
def test_the_hub_does_not_wait_for_ever(slow: str) -> None:
    world = ready()
    world.claim_within_s = 0.2
    world.restart()
    world.settle()
    if slow == "remove":
        world.claim("ada")  # whose server is in the way of the next claim
    held = {
        "attach": world.homes.hold,
        "become": lambda _: world.guests.hold(),
        "remove": world.containers.hold,
    }[slow]
    begun_s = time.monotonic()
    with held(slow):
        answer = world.claim("ada")
        assert isinstance(answer, wire.Refused)
        assert answer.reason in ("busy", "guest")
        assert time.monotonic() - begun_s < 30
    wait_until(lambda: not [one for one in threading.enumerate() if one.name == "claim"])
    if slow == "attach":
        assert not world.guests.became, "what comes too late is not gone on with"
    world.pass_time(60)
    assert world.leftovers() == {}
    assert all_of_one_user(world) == []


def test_a_slot_that_dies_while_it_is_claimed() -> None:
    world = ready()
    slot = world.ready()[0]
    with world.guests.hold():
        answers: list[object] = []
        running = together_with(lambda: answers.append(world.claim("ada")))
        wait_until(lambda: bool(world.homes.attached))
        container = world.containers.named(slot.container)
        assert container is not None
        container.end(137)
        world.homes.in_use.add(slot.id)  # so that its guest is not forgotten yet, and answers the claim
        world.pool.wake()
        world.clock.advance(1)
        world.step()
    running.join(timeout=30)
    (answer,) = answers
    assert isinstance(answer, wire.Refused)
    assert slot.id in world.guests.became
    world.homes.in_use.clear()
    world.pass_time(60)
    assert world.leftovers() == {}
    assert world.slots.get(slot.id) is None


def test_a_hub_that_gives_up_and_starts_cold_meanwhile() -> None:
    world = ready()
    slot = world.ready()[0]
    answers: list[object] = []
    with world.guests.hold():
        running = together_with(lambda: answers.append(world.claim("ada")))
        wait_until(lambda: bool(world.homes.attached))
        with world.pool.cold_start("ada", ""):
            assert world.containers.named(slot.container) is None
    running.join(timeout=30)
    (answer,) = answers
    assert isinstance(answer, wire.Refused), "the cold server has the home now"
    world.pass_time(60)
    assert world.leftovers() == {}
    assert all_of_one_user(world) == []


def test_a_second_claim_of_the_same_server_takes_the_first_ones_place() -> None:
    """The hub was restarted before it knew of the first."""
    world = ready()
    first = world.claim("ada")
    assert isinstance(first, wire.Started)
    second = world.claim("ada")
    assert isinstance(second, wire.Started)
    assert first.id != second.id
    assert world.containers.named(first.id) is None, "removed before the home was attached again"
    world.settle()
    assert all_of_one_user(world) == ["claimed"]
    assert world.leftovers() == {}


def test_a_cold_start_takes_a_warm_servers_place() -> None:
    world = ready()
    warm = world.claim("ada")
    assert isinstance(warm, wire.Started)
    with world.pool.cold_start("ada", ""):
        assert world.containers.named(warm.id) is None
    world.settle()
    assert all_of_one_user(world) == []
    assert world.counts.spawns == {SpawnKind.WARM: 1, SpawnKind.COLD: 1}


def test_a_claim_takes_the_place_of_a_cold_server_that_the_hub_has_forgotten() -> None:
    """The hub was restarted in the middle of a stop, before the agent was asked for it."""
    world = ready()
    cold = ContainerSpec(
        "jupyter-ada", "hubagent/julia", (), {}, {LABEL_SERVER: "julia"}, "hubagent", 1024**3, 1.0, 100
    )
    world.containers.start(world.containers.create(cold))
    world.containers.create(dataclasses.replace(cold, name="jupyter-ada--lab"))
    world.containers.create(dataclasses.replace(cold, name="jupyter-bob", labels={}))
    for user in ("ada", "bob"):
        assert isinstance(world.claim(user), wire.Started)
    assert world.containers.named("jupyter-ada") is None
    assert world.containers.named("jupyter-ada--lab") is not None, "a server of its own"
    assert world.containers.named("jupyter-bob") is not None, "not ours"


def test_named_servers_of_one_user_are_apart() -> None:
    world = ready()
    answers = [world.claim("ada", ""), world.claim("ada", "second")]
    assert all(isinstance(answer, wire.Started) for answer in answers)
    assert all_of_one_user(world) == ["claimed", "claimed"]


def steps_of_a_claim() -> int:
    world = ready()
    life = Life()
    world.restart(life)
    world.step()
    before = life.taken
    assert isinstance(world.claim("ada"), wire.Started)
    return life.taken - before


@pytest.mark.parametrize("step", range(steps_of_a_claim() + 1))
@pytest.mark.parametrize("slot_dies_too", [False, True])
def test_killed_between_any_two_steps(step: int, *, slot_dies_too: bool) -> None:
    world = ready()
    probe = Life()
    world.restart(probe)
    world.step()
    world.restart(Life(probe.taken + step))
    world.step()
    try:
        answer = world.claim("ada")
    except Killed:
        answer = None
    if slot_dies_too:
        for container in world.containers.containers.values():
            container.end(137)
    world.restart()
    world.step()
    assert Phase.CLAIMING not in world.phases(), "nobody knows how far it got"
    again = world.claim("ada")
    if slot_dies_too:
        world.pass_time(120)
        again = world.claim("ada")
    assert isinstance(again, wire.Started), (answer, again)
    world.pass_time(300)
    assert all_of_one_user(world) == ["claimed"]
    assert len(world.ready()) == 2
    assert world.leftovers() == {}
    assert list(world.homes.attached) == [slot.id for slot in world.slots.all() if slot.user == "ada"]
    for name in world.files.list_dir(GUESTS):
        assert json.loads(world.files.text(GUESTS / name / "slot.json"))["phase"] in ("ready", "claimed")


def test_the_users_of_an_earlier_agent_keep_their_servers() -> None:
    world = ready()
    answer = world.claim("ada")
    assert isinstance(answer, wire.Started)
    world.settle()
    world.restart()
    world.settle()
    assert world.pool.users() == {answer.id: "ada"}
    container = world.containers.named(answer.id)
    assert container is not None
    assert container.running


def test_no_folder_of_a_home_is_the_home() -> None:
    world = World(mounts=(Mount(PurePosixPath("/srv/x"), PurePosixPath("/home/jovyan/workshop")),))
    assert world.config is not None
    assert folders_in_home(world.config.servers[0]) == ()


def test_a_home_of_another_account_is_attached_to_nobody() -> None:
    world = World()
    world.settle()
    world.foreign_for.add("ada")
    answer = world.claim("ada")
    assert answer == wire.Refused("foreign_home", FOREIGN)
    assert not world.homes.attached
    assert len(world.ready()) == 2, "no slot is spent on it"


def test_a_slot_says_which_home_it_has() -> None:
    world = World()
    world.settle()
    assert isinstance(world.claim("ada"), wire.Started)
    [slot] = [slot for slot in world.slots.all() if slot.phase is Phase.CLAIMED]
    assert slot.volume == "jupyterhub-user-ada"


# A pool whose claims fail


def homeless(world: World, *users: str) -> None:
    """These people click, and the home of none of them can be attached."""
    for user in users:
        world.homes.fail("attach")
        assert isinstance(world.claim(user), wire.Refused)
        world.settle()


def test_a_pool_whose_claims_fail_one_after_the_other_is_in_trouble_until_one_succeeds() -> None:
    world = World(Warm(ready=2))
    world.settle()
    homeless(world, "ada", "bob")
    assert not world.pool.status()[0].is_in_trouble, "it may be their own"
    begun_s = world.clock.time()
    homeless(world, "cleo")
    (status,) = world.pool.status()
    assert status.is_in_trouble
    assert status.ready == 2
    assert status.claims_fail == "the last 3 claims failed: the homes helper did not answer"
    assert status.claims_fail_since_s is not None
    assert status.claims_fail_since_s < begun_s
    assert isinstance(world.claim("dora"), wire.Started)
    (status,) = world.pool.status()
    assert (status.claims_fail, status.claims_fail_since_s, status.is_in_trouble) == (None, None, False)


def test_no_ready_slot_and_a_claim_out_of_time_are_no_trouble_of_the_way() -> None:
    world = World(Warm(ready=1))
    for _ in range(5):
        assert isinstance(world.claim(), wire.Refused)  # nothing is ready
    assert world.pool.status()[0].claims_fail is None


def test_that_no_home_can_be_attached_is_found_before_anybody_clicks() -> None:
    world = World(Warm(ready=1))
    world.homes.missing.add(f"{HOMES}/{VOLUME}/_data")
    world.settle()
    (status,) = world.pool.status()
    assert status.ready == 1
    assert status.is_in_trouble
    assert "cannot be attached" in (status.claims_fail or "")
    since_s = status.claims_fail_since_s
    world.pass_time(AGAIN_S * 3)
    assert world.pool.status()[0].claims_fail_since_s == since_s
    assert world.leftovers() == {}
    assert VOLUME not in world.containers.volumes

    world.homes.missing.clear()
    world.pass_time(AGAIN_S * 1.5)
    assert world.pool.status()[0].claims_fail is None


def test_a_course_folder_that_cannot_be_attached_is_found_too() -> None:
    mount = Mount(PurePosixPath("/srv/course"), PurePosixPath("/home/jovyan/work/course"))
    world = World(Warm(ready=1), mounts=(mount,))
    world.homes.declare()
    world.settle()
    assert "the configuration does not declare it" in (world.pool.status()[0].claims_fail or "")


def test_it_is_found_out_anew_after_docker_was_away() -> None:
    world = World(Warm(ready=1))
    world.settle()
    world.containers.stop_engine()
    world.step(3)
    world.containers.start_engine()
    world.homes.missing.add(f"{HOMES}/{VOLUME}/_data")
    world.pass_time(10)
    assert world.pool.status()[0].is_in_trouble


def test_what_docker_does_not_answer_is_no_answer() -> None:
    world = World(Warm(ready=1))
    for _ in range(3):
        world.containers.fail("create_volume")
    world.settle()
    assert len(world.ready()) == 1
    assert world.pool.status()[0].claims_fail is None
    world.homes.missing.add(f"{HOMES}/{VOLUME}/_data")
    world.pass_time(AGAIN_S * 5)
    assert world.pool.status()[0].is_in_trouble


def test_what_still_waits_in_users_servers_is_counted_as_long_as_they_are_there() -> None:
    world = World(Warm(ready=2))
    world.settle()
    started = [world.claim(user) for user in ("ada", "bob")]
    for slot in world.slots.all():
        if slot.phase is Phase.CLAIMED:
            world.guests.say_spares(slot.id, wire.Spares(1, 1, 600 * 1024**2))
    world.pass_time(60)
    (status,) = world.pool.status()
    assert (status.spare_kernels, status.spare_plutos, status.spare_bytes) == (2, 2, 1200 * 1024**2)
    assert isinstance(started[0], wire.Started)
    world.pool.gone(started[0].id)
    world.pass_time(60)
    assert world.pool.status()[0].spare_kernels == 1
