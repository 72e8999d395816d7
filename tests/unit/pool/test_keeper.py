"""Keeping the pool: filling, retiring, removing; and what is left when things fail or the agent is killed."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable

import pytest

from hubagent import wire
from hubagent.config.kinds.types import TimeOfDay
from hubagent.config.model import Config, Lecture, Warm
from hubagent.layout import LABEL_GUEST, LABEL_SERVER, LABEL_SLOT, LABEL_USER
from hubagent.pool import cleanup, health, keeper, policy
from hubagent.pool import warming as warming_limits
from hubagent.pool.events import Eviction, SlotFailure
from hubagent.pool.policy import Memory
from hubagent.pool.ports import ContainerSpec, ImageFacts
from hubagent.pool.slots import Phase, Slot
from tests.unit.pool.mortal import Killed, Life
from tests.unit.pool.world import GIB, GUESTS, World, together_with
from tests.waiting import wait_until


def ready(warm: Warm | None = None, **server: object) -> World:
    world = World(warm, **server)
    world.settle()
    return world


def end(world: World, container: str, exit_code: int = 1) -> None:
    found = world.containers.named(container)
    assert found is not None
    found.end(exit_code)
    world.pool.wake()


def started(world: World, user: str = "ada") -> wire.Started:
    answer = world.claim(user)
    assert isinstance(answer, wire.Started)
    return answer


# Filling


def test_an_empty_pool_is_filled_and_then_left_alone() -> None:
    world = ready(Warm(ready=3))
    slots = world.ready()
    assert len(slots) == 3
    world.pass_time(600)
    assert world.ready() == slots
    assert world.leftovers() == {}
    assert len(world.counts.refills_s) == 3
    (status,) = world.pool.status()
    assert (status.server, status.desired, status.ready, status.memory_bytes) == (
        "julia",
        3,
        3,
        300 * 1024**2,
    )


def test_a_slot_warms_with_little_weight_and_is_claimed_without_a_word_to_docker_about_it() -> None:
    world = ready(Warm(ready=1))
    (container,) = world.containers.containers.values()
    assert container.spec.cpu_shares < 1024
    assert container.cpu_shares == 1024
    world.containers.fail("weigh")
    started(world)


def test_a_slot_has_the_images_own_id() -> None:
    world = ready(Warm(ready=1, kernels={"julia": 1}))
    (container,) = world.containers.containers.values()
    assert container.spec.image == "sha256:1"
    (settings,) = world.guests.settings.values()
    assert settings == wire.GuestSettings("warm", (), {"julia": 1}, pluto=True, home="/home/jovyan/work")


def test_guests_preload_what_the_image_was_seen_to_need() -> None:
    world = World(Warm(ready=1))
    world.proofs["sha256:1"] = wire.Proof("/usr/bin/python3", ("tornado", "zmq"), {}, pluto="", ready_s=2.0)
    world.settle()
    (settings,) = world.guests.settings.values()
    assert settings.modules == ("tornado", "zmq")
    assert not settings.pluto, "this image has none"


@pytest.mark.parametrize(
    ("declared", "there", "waits"),
    [
        (None, {"julia-1.12": "julia", "python3": "python"}, {"julia": 1}),
        (None, {"julia-1.9": "Julia"}, {"julia": 1}),
        (None, {"python3": "python"}, {}),
        ({}, {"julia-1.12": "julia"}, {}),
        ({"python3": 2}, {"julia-1.12": "julia"}, {"python3": 2}),
        ({"julia": 1}, {"python3": "python"}, {"julia": 1}),
    ],
)
def test_a_julia_kernel_waits_where_there_is_one_and_the_file_says_nothing(
    declared: dict[str, int] | None, there: dict[str, str], waits: dict[str, int]
) -> None:
    world = World(Warm(ready=1, kernels=declared))
    world.proofs["sha256:1"] = wire.Proof("/usr/bin/python3", (), there, pluto="", ready_s=2.0)
    world.settle()
    (settings,) = world.guests.settings.values()
    assert settings.kernels == waits


def test_slots_are_made_one_by_one() -> None:
    world = World(Warm(ready=5))
    for _ in range(40):
        world.clock.advance(world.step())
        under_way = world.phases()[Phase.CREATING] + world.phases()[Phase.WARMING]
        assert under_way <= policy.AT_ONCE
    assert len(world.ready()) == 5


def test_a_lecture_fills_the_pool_before_it_begins() -> None:
    always = tuple(range(7))
    world = ready(Warm(ready=1, schedule=(Lecture(always, TimeOfDay(0, 0), TimeOfDay(23, 59), 6),)))
    assert len(world.ready()) == 6
    world.configure(Warm(ready=1))
    world.pass_time(30)
    assert len(world.ready()) == 1
    assert world.counts.evictions == {Eviction.SURPLUS: 5}


def test_nothing_is_made_while_a_server_starts() -> None:
    world = World()
    with world.pool.cold_start("ada", ""):
        world.pass_time(policy.PAUSE_AT_MOST_S - 6)
        assert not world.slots.all()
    world.pass_time(1)
    assert not world.slots.all(), "its page is loading"
    world.settle()
    assert len(world.ready()) == 2


def test_users_who_never_stop_coming_do_not_keep_the_pool_empty() -> None:
    world = World()
    with world.pool.cold_start("ada", ""):
        world.pass_time(10 * policy.PAUSE_AT_MOST_S)
        assert len(world.ready()) == 2


def test_a_claimed_slot_is_replaced() -> None:
    world = ready()
    started(world)
    world.pass_time(30)
    assert len(world.ready()) == 2
    assert world.phases()[Phase.CLAIMED] == 1


# What goes wrong while a slot is made


@pytest.mark.parametrize(
    "fault",
    [
        lambda world: world.containers.fail("create"),
        lambda world: world.containers.fail("create", after=True),
        lambda world: world.containers.fail("start"),
        lambda world: world.containers.fail("start", after=True),
        lambda world: world.homes.fail("prepare"),
        lambda world: world.homes.fail("prepare", after=True),
        lambda world: world.files.fail("write", GUESTS),
        lambda world: world.files.fail("make_dir", GUESTS),
    ],
)
def test_a_failure_is_told_waited_out_and_leaves_nothing(fault: Callable[[World], None]) -> None:
    world = World()
    fault(world)
    world.step()
    assert not world.phases()[Phase.CREATING]
    (status,) = world.pool.status()
    assert status.last_failure
    assert status.backing_off_until_s is not None
    assert status.is_in_trouble
    made = len(world.containers.calls("create"))
    world.pass_time(policy.FIRST_BACKOFF_S / 2)
    assert len(world.containers.calls("create")) == made
    world.pass_time(policy.FIRST_BACKOFF_S * 4)
    world.pass_time(cleanup.UNKNOWN_S * 1.2)
    assert len(world.ready()) == 2
    assert world.pool.status()[0].last_failure is None
    assert world.leftovers() == {}


@pytest.mark.parametrize("after", [False, True])
def test_no_slot_is_offered_that_kept_its_little_weight(after: bool) -> None:
    world = World()
    world.containers.fail("weigh", after=after)
    world.pass_time(2)
    assert not world.ready()
    assert world.pool.status()[0].last_failure
    world.pass_time(60)
    assert {one.cpu_shares for one in world.containers.containers.values()} == {1024}
    assert len(world.ready()) == 2
    assert world.leftovers() == {}


def test_failures_in_a_row_are_tried_less_and_less_often() -> None:
    world = World()
    for _ in range(100):
        world.containers.fail("create")
    world.pass_time(300)
    assert 4 <= len(world.containers.calls("create")) <= 8
    world.configure(Warm(ready=2), image="other")
    world.containers.images["other"] = ImageFacts("sha256:2", "jovyan", ())
    made = len(world.containers.calls("create"))
    world.pool.wake()
    world.pass_time(3)
    assert len(world.containers.calls("create")) > made, "another image may do better"


# Slots that can never be ready


def warming(detail: str = "warming kernel julia", **server: object) -> tuple[World, Slot]:
    """A slot that says for ever that it is not ready."""
    world = World(Warm(ready=1), **server)
    never = wire.Pong(ready=False, detail=detail, kernels={}, pluto=False)
    world.guests.pong_of_new(never)
    world.step()
    (slot,) = world.slots.all()
    return world, slot


def compute(world: World, seconds: float, *, share: float) -> None:
    """Time passes, in which every slot gets this share of a processor."""
    end_s = world.clock.monotonic() + seconds
    while world.clock.monotonic() < end_s:
        before_s = world.clock.monotonic()
        world.clock.advance(world.step())
        for container in world.containers.containers.values():
            container.processor_s += share * (world.clock.monotonic() - before_s)


def test_it_is_given_up_for_the_processor_time_that_it_has_used_and_not_by_the_clock() -> None:
    world, slot = warming()
    compute(world, 1500, share=0.15)
    assert world.phases() == {Phase.WARMING: 1}, "the machine is busy"
    compute(world, 600, share=0.15)
    assert world.slots.get(slot.id) is None
    (status,) = world.pool.status()
    assert status.last_failure == "gave up after 300 s of processor time in warming kernel julia"
    assert status.backing_off_until_s is not None
    assert world.counts.failures == {SlotFailure.PROCESSOR: 1}


def test_each_try_waits_longer_by_what_it_costs() -> None:
    world, _ = warming()
    begun_s = []
    for _ in range(3):
        made = len(world.containers.calls("create"))
        compute(world, 320, share=1.0)
        assert not world.slots.all()
        until_s = world.pool.status()[0].backing_off_until_s
        assert until_s is not None
        begun_s.append(until_s - world.clock.time())
        assert len(world.containers.calls("create")) == made
        world.pass_time(until_s - world.clock.time() + 10)
    assert begun_s[0] > 250
    assert 2 * begun_s[0] < begun_s[1] <= begun_s[2] <= 6 * 330


def test_a_person_who_asks_or_another_recipe_ends_the_waiting() -> None:
    world, _ = warming()
    compute(world, 320, share=1.0)
    made = len(world.containers.calls("create"))
    world.pool.wake(asked=True)
    world.pass_time(3)
    assert len(world.containers.calls("create")) == made + 1
    compute(world, 320, share=1.0)
    world.configure(Warm(ready=1, kernels={"python": 1}))
    world.pool.wake()
    world.pass_time(3)
    assert len(world.containers.calls("create")) == made + 2


def test_one_that_computes_nothing_is_given_up_by_the_clock() -> None:
    world, slot = warming()
    world.pass_time(wire.WARM_SILENT_S - 10)
    assert world.slots.get(slot.id) is not None
    world.pass_time(30)
    assert world.slots.get(slot.id) is None
    assert "gave up after 300 s without any work in warming kernel julia" in failure(world)
    assert world.counts.failures == {SlotFailure.SILENT: 1}


def test_one_that_computes_a_little_for_ever_is_given_up_in_the_end() -> None:
    world, slot = warming()
    compute(world, warming_limits.AT_MOST_S - 60, share=0.02)
    assert world.slots.get(slot.id) is not None
    compute(world, 120, share=0.02)
    assert world.slots.get(slot.id) is None
    assert "gave up after 60 min in warming kernel julia" in failure(world)


def test_one_whose_launcher_never_listens_says_so() -> None:
    world = World(Warm(ready=1))
    world.guests.listens = False
    world.pass_time(wire.WARM_SILENT_S + 30)
    assert "its launcher does not listen; does the image's entry point run its command?" in failure(world)


def test_time_in_which_it_stands_still_for_users_does_not_count() -> None:
    world, slot = warming()
    world.pass_time(wire.WARM_SILENT_S - 25)
    with world.pool.cold_start("ada", ""):
        assert world.homes.frozen
        world.pass_time(wire.FREEZE_AT_MOST_S - 1)
    world.pass_time(15)
    assert world.slots.get(slot.id) is not None
    world.pass_time(30)
    assert world.slots.get(slot.id) is None


def test_docker_that_does_not_say_what_it_has_used_is_no_reason() -> None:
    world, slot = warming()
    for _ in range(10):
        world.containers.fail("processor_s")
    world.pass_time(60)
    assert world.slots.get(slot.id) is not None


@pytest.mark.parametrize(
    ("out_of_memory", "said", "kind"),
    [
        (False, "its container ended with exit status 3: the last words", SlotFailure.ENDED),
        (True, "it ran out of memory", SlotFailure.MEMORY),
    ],
)
def test_one_whose_container_ends_says_how(out_of_memory: bool, said: str, kind: SlotFailure) -> None:
    world, slot = warming()
    found = world.containers.named(slot.container)
    assert found is not None
    found.end(3, out_of_memory=out_of_memory)
    world.pool.wake()
    world.pass_time(2)
    assert failure(world) == said
    assert world.counts.failures[kind] == 1


def test_what_did_not_become_warm_in_a_ready_slot_is_told() -> None:
    world = World(Warm(ready=1, kernels={"cobol": 1}))
    lacking = wire.Pong(ready=True, detail="no kernel 'cobol': the image has python3", kernels={}, pluto=True)
    world.guests.pong_of_new(lacking)
    world.settle()
    (status,) = world.pool.status()
    assert status.lacks == "no kernel 'cobol': the image has python3"
    assert not status.is_in_trouble


def failure(world: World) -> str:
    return world.pool.status()[0].last_failure or ""


def test_a_guest_that_is_slow_to_answer_is_waited_for() -> None:
    world = World(Warm(ready=1))
    world.guests.fail_ping = True
    world.pass_time(60)
    assert world.phases() == {Phase.WARMING: 1}
    world.guests.fail_ping = False
    world.pass_time(1)
    assert world.phases() == {Phase.READY: 1}


def test_nobody_is_asked_for_his_health_while_servers_start() -> None:
    world = ready()
    world.pass_time(60)
    world.guests.fail_ping = True
    for _ in range(10):
        with world.pool.cold_start("ada", ""):
            world.pass_time(15)
    world.guests.fail_ping = False
    world.pass_time(health.HEALTH_S)
    assert not world.counts.evictions


def test_what_cannot_be_removed_does_not_stop_the_rest() -> None:
    world = World()
    world.homes.prepare("1" * 12)
    for _ in range(50):
        world.homes.fail("detach")
    world.pass_time(30)
    assert len(world.ready()) == 2


def test_slots_from_before_the_proof_are_replaced() -> None:
    world = ready()
    early = {slot.id for slot in world.ready()}
    world.proofs["sha256:1"] = wire.Proof("/usr/bin/python3", ("tornado",), {}, pluto="", ready_s=2.0)
    world.pool.wake()
    world.settle()
    late = {slot.id for slot in world.ready()}
    assert len(late) == 2
    assert not early & late
    world.proofs.clear()  # the next agent has not read it yet
    world.restart()
    world.settle()
    assert {slot.id for slot in world.ready()} == late


def test_another_name_of_the_same_image_changes_nothing() -> None:
    world = ready()
    before = world.ready()
    world.configure(Warm(ready=2), image="sha256:1")
    world.pool.wake()
    world.settle()
    assert world.ready() == before


def test_a_container_that_ends_while_it_warms_up() -> None:
    world = World(Warm(ready=1))
    world.step()
    (slot,) = world.slots.all()
    world.guests.die(slot.id)
    end(world, slot.name)
    world.pass_time(2)
    assert world.slots.get(slot.id) is None
    assert world.pool.status()[0].backing_off_until_s is not None
    world.settle()
    assert world.ready()[0].id != slot.id


# What happens to slots that wait


def test_a_ready_slot_whose_container_ended_is_replaced_at_once() -> None:
    world = ready()
    world.pass_time(300)
    lost, kept = world.ready()
    end(world, lost.container, 137)
    world.pass_time(5)
    assert kept in world.ready()
    assert len(world.ready()) == 2
    assert world.counts.evictions == {Eviction.HEALTH: 1}
    assert world.leftovers() == {}


def test_a_ready_slot_that_was_removed_by_hand_is_replaced() -> None:
    world = ready()
    world.containers.remove(world.ready()[0].container)
    world.pool.wake()
    world.pass_time(10)
    assert len(world.ready()) == 2
    assert world.leftovers() == {}


def test_a_restart_of_docker_is_one_failure_not_forty() -> None:
    world = ready(Warm(ready=40))
    for container in world.containers.containers.values():
        container.end(137)
    world.pool.wake()
    world.pass_time(60)
    assert len(world.ready()) == 40


def test_a_slot_that_stops_answering_goes_after_a_second_look() -> None:
    world = ready()
    silent, _ = world.ready()
    world.guests.die(silent.id)
    world.pass_time(health.HEALTH_S + 10)
    world.settle()
    assert world.slots.get(silent.id) is None
    assert len(world.ready()) == 2
    assert world.counts.evictions == {Eviction.HEALTH: 1}


def test_one_busy_moment_is_forgiven() -> None:
    world = ready(Warm(ready=1))
    (slot,) = world.ready()
    pong = world.guests.pongs[slot.id]
    world.guests.die(slot.id)
    calls = len(world.containers.calls("memory_bytes"))
    world.clock.advance(health.HEALTH_S + 1)
    world.step()
    world.guests.listen(slot.id, pong)
    world.pass_time(3 * health.HEALTH_S)
    assert [one.id for one in world.ready()] == [slot.id]
    assert len(world.containers.calls("memory_bytes")) > calls, "and it is measured again"


def test_old_slots_are_replaced() -> None:
    world = ready(Warm(ready=2, max_age_s=1000))
    before = {slot.id for slot in world.ready()}
    world.pass_time(900)
    assert {slot.id for slot in world.ready()} == before
    for _ in range(100):
        world.pass_time(5)
        assert len(world.ready()) >= 2, "never an empty pool for that"
    assert not before & {slot.id for slot in world.ready()}
    assert world.counts.evictions == {Eviction.AGE: 2}


def test_memory_pressure_takes_the_newest_slots_and_never_a_user() -> None:
    world = ready(Warm(ready=4))
    answer = started(world)
    world.pass_time(60)
    by_age = world.ready()
    assert len(by_age) == 4
    world.memory = Memory(total=64 * GIB, available=3 * GIB)
    world.step()
    assert set(by_age[:3]) >= set(world.ready())
    world.pass_time(300)
    assert not world.ready()
    assert world.counts.evictions[Eviction.MEMORY] == 4
    assert world.pool.users() == {answer.id: "ada"}
    world.memory = Memory(total=64 * GIB, available=40 * GIB)
    world.settle()
    assert len(world.ready()) == 4


# Images and edits


def test_another_image_replaces_slot_by_slot() -> None:
    world = ready()
    before = {slot.id for slot in world.ready()}
    world.containers.images["hubagent/julia"] = ImageFacts("sha256:2", "jovyan", ())
    world.pool.wake()
    world.settle()
    assert not before & {slot.id for slot in world.ready()}
    assert {world.containers.containers[slot.container].image_id for slot in world.ready()} == {"sha256:2"}
    assert world.counts.evictions == {Eviction.RECIPE: 2}
    assert world.leftovers() == {}


def test_an_image_that_is_gone_leaves_its_slots_of_use() -> None:
    world = ready()
    del world.containers.images["hubagent/julia"]
    world.pool.wake()
    world.pass_time(60)
    assert len(world.ready()) == 2
    assert isinstance(world.claim(), wire.Started)
    made = len(world.containers.calls("create"))
    world.pass_time(60)
    assert len(world.containers.calls("create")) == made
    world.containers.images["hubagent/julia"] = ImageFacts("sha256:1", "jovyan", ())
    world.settle()
    assert len(world.ready()) == 2


def test_an_agent_that_never_saw_the_image_neither_offers_nor_removes_its_slots() -> None:
    world = ready()
    del world.containers.images["hubagent/julia"]
    world.restart()
    world.pass_time(60)
    assert len(world.ready()) == 2
    assert isinstance(world.claim(), wire.Refused)


def test_an_edit_that_is_taken_back_finds_its_slots() -> None:
    world = ready()
    before = world.ready()
    world.configure(Warm(ready=2), memory_bytes=GIB)
    world.pool.wake()
    world.step()
    assert len(world.slots.all()) == 3
    world.configure(Warm(ready=2))
    world.settle()
    assert world.ready() == before


def test_a_new_guest_program_replaces_the_slots() -> None:
    world = ready()
    before = {slot.id for slot in world.ready()}
    world.program = "2"
    world.restart()
    world.settle()
    assert not before & {slot.id for slot in world.ready()}


def test_without_warm_the_slots_go_and_the_users_stay() -> None:
    world = ready()
    answer = started(world)
    world.configure(None)
    world.pass_time(30)
    assert world.phases() == {Phase.CLAIMED: 1}
    assert world.pool.users() == {answer.id: "ada"}
    (status,) = world.pool.status()
    assert (status.desired, status.claimed) == (0, 1)


def test_without_a_configuration_nothing_is_touched() -> None:
    world = ready()
    before = world.slots.all()
    world.config = None
    world.pass_time(60)
    assert world.slots.all() == before


# Leaving


def test_a_server_that_ended_stays_for_its_exit_status() -> None:
    world = ready()
    answer = started(world)
    end(world, answer.id, 1)
    world.pass_time(cleanup.EXIT_STATUS_S - 10)
    assert world.containers.named(answer.id) is not None
    world.pass_time(20)
    assert world.containers.named(answer.id) is None
    assert world.pool.users() == {}
    assert world.leftovers() == {}
    assert not world.homes.attached


def test_what_the_hub_removed_is_let_go_of_at_once() -> None:
    world = ready()
    answer = started(world)
    world.containers.remove(answer.id)
    world.pool.gone(answer.id)
    world.step()
    assert not world.homes.attached
    assert world.leftovers() == {}


def test_a_container_goes_before_its_home_and_that_before_its_folder() -> None:
    world = ready()
    answer = started(world)
    slot = world.slots.of_container(answer.id)
    assert slot is not None
    world.homes.in_use.add(slot.id)
    world.pool.gone(answer.id)
    world.pass_time(20)
    assert world.containers.named(answer.id) is None
    assert slot.id in world.homes.attached
    assert slot.id in world.guests.known(), "its state file says that something is left"
    world.restart()
    world.pass_time(20)
    assert slot.id in world.guests.known()
    world.homes.in_use.clear()
    world.pass_time(20)
    assert world.leftovers() == {}
    assert world.slots.get(slot.id) is None


def test_folders_without_a_container_go_after_a_while() -> None:
    world = ready()
    world.guests.prepare("0" * 12, wire.GuestSettings("cold"))
    world.homes.prepare("1" * 12)
    world.pass_time(cleanup.UNKNOWN_S / 2)
    assert world.leftovers() == {"folders": {"0" * 12}}, "a cold start begins with its folder"
    world.pass_time(cleanup.UNKNOWN_S)
    assert world.leftovers() == {}


def others(world: World, labels: dict[str, str], *, run: bool) -> str:
    container = world.containers.create(
        ContainerSpec("one", "hubagent/julia", (), {}, labels, "hubagent", GIB, 1.0, 100)
    )
    if run:
        world.containers.start(container)
    return container


COLD = {LABEL_GUEST: "0" * 12, LABEL_SERVER: "julia", LABEL_USER: "bob"}


def test_a_cold_starts_container_stays_while_it_runs() -> None:
    world = ready()
    world.guests.prepare("0" * 12, wire.GuestSettings("cold"))
    cold = others(world, COLD, run=True)
    world.pass_time(600)
    assert world.containers.named(cold) is not None
    assert "0" * 12 in world.guests.known()


@pytest.mark.parametrize("has_run", [True, False])
def test_a_cold_starts_container_that_the_hub_has_forgotten_goes_after_a_while(*, has_run: bool) -> None:
    """The hub was restarted between stopping and removing it, or the agent was killed before starting it."""
    world = ready()
    world.guests.prepare("0" * 12, wire.GuestSettings("cold"))
    cold = others(world, COLD, run=has_run)
    if has_run:
        end(world, cold)
    world.pass_time(cleanup.ABANDONED_S - 20)
    assert world.containers.named(cold) is not None, "the hub asks why it ended"
    world.pass_time(keeper.TRUTH_S + 30)
    assert world.containers.named(cold) is None
    assert world.leftovers() == {}
    assert len(world.ready()) == 2


def test_what_is_started_meanwhile_is_not_taken_for_ended() -> None:
    world = ready()
    world.guests.prepare("0" * 12, wire.GuestSettings("cold"))
    cold = others(world, COLD, run=False)
    world.pass_time(cleanup.ABANDONED_S - 20)
    world.containers.start(cold)
    world.pass_time(600)
    assert world.containers.named(cold) is not None


def test_a_running_slot_that_nobody_wrote_down_may_be_a_users() -> None:
    """Somebody emptied /run. Its end is waited for."""
    world = ready()
    lost = others(world, {LABEL_GUEST: "0" * 12, LABEL_SERVER: "julia", LABEL_SLOT: "today"}, run=True)
    world.pass_time(300)
    assert world.containers.named(lost) is not None
    end(world, lost)
    world.pass_time(cleanup.EXIT_STATUS_S + 20)
    assert world.containers.named(lost) is None
    assert not world.counts.evictions


def test_after_a_reboot_nothing_of_the_old_slots_is_left() -> None:
    world = ready()
    started(world)
    for container in world.containers.containers.values():
        container.end(255)
    world.guests.settings.clear()
    for name in world.files.list_dir(GUESTS):
        world.files.remove(GUESTS / name)
    for name in world.homes.slots():
        world.homes.detach(name)
    world.restart()
    world.settle()
    assert len(world.ready()) == 2
    assert len(world.containers.containers) == 2
    assert world.leftovers() == {}


# Others that do not answer


def test_while_docker_is_down_nothing_is_decided() -> None:
    world = ready()
    before = world.slots.all()
    world.containers.stop_engine()
    world.pool.wake()
    world.pass_time(120)
    assert world.slots.all() == before
    (status,) = world.pool.status()
    assert "no connection to Docker" in (status.last_failure or "")
    world.containers.start_engine()
    world.containers.remove(before[0].container)
    world.pass_time(30)
    assert len(world.ready()) == 2
    assert before[0] not in world.ready()
    assert world.pool.status()[0].last_failure is None


def test_once_docker_is_back_everything_is_looked_at_again() -> None:
    world = ready()
    lost = world.ready()[0]
    world.containers.stop_engine()
    world.pool.wake()
    world.clock.advance(keeper.TRUTH_AT_MOST_EVERY_S)
    world.step()
    world.containers.start_engine()
    world.containers.remove(lost.container)
    world.clock.advance(keeper.TRUTH_AT_MOST_EVERY_S)
    world.step()
    assert world.slots.get(lost.id) is None


def test_an_absent_homes_helper_is_told_of() -> None:
    world = World()
    for _ in range(20):
        world.homes.fail("slots", "the homes helper does not answer")
    world.step(3)
    (status,) = world.pool.status()
    assert status.is_in_trouble
    assert "homes helper" in (status.last_failure or "")
    world.pass_time(200)
    assert len(world.ready()) == 2


# Killed and followed


def steps_of_filling() -> int:
    world = World(Warm(ready=1))
    life = Life()
    world.restart(life)
    world.settle()
    return life.taken


@pytest.mark.parametrize("step", range(0, steps_of_filling()))
def test_killed_between_any_two_steps_of_filling(step: int) -> None:
    world = World(Warm(ready=1))
    world.restart(Life(step))
    with pytest.raises(Killed):
        world.settle()
    world.restart()
    world.step()
    assert not world.counts.evictions, "that was nobody's fault"
    world.pass_time(cleanup.UNKNOWN_S + 60)
    assert len(world.ready()) == 1
    assert world.leftovers() == {}


def leave(world: World) -> None:
    """A server ends and the hub removes it."""
    (container,) = world.pool.users()
    world.containers.remove(container)
    world.pool.gone(container)
    world.pass_time(5)


def steps_of_leaving() -> int:
    world = ready(Warm(ready=0, max=0))
    return _leaving(world, Life())


def _leaving(world: World, life: Life) -> int:
    world.configure(Warm(ready=1))
    world.settle()
    started(world)
    world.configure(Warm(ready=0))
    world.settle()
    world.restart(life)
    world.step()
    leave(world)
    return life.taken


@pytest.mark.parametrize("step", range(0, steps_of_leaving()))
def test_killed_between_any_two_steps_of_leaving(step: int) -> None:
    world = World(Warm(ready=0))
    with pytest.raises(Killed):
        _leaving(world, Life(step))
    for container in list(world.containers.containers):
        world.containers.remove(container)  # the hub asks again
    world.restart()
    world.pass_time(cleanup.UNKNOWN_S + 60)
    assert world.leftovers() == {}
    assert not world.homes.attached
    assert not world.guests.known()


@pytest.mark.parametrize("times", [1, 5])
def test_restarts_lose_no_ready_slot(times: int) -> None:
    world = ready(Warm(ready=3))
    before = world.ready()
    for _ in range(times):
        world.restart()
        world.settle()
    assert world.ready() == before
    assert len(world.containers.calls("create")) == 3


# The thread


def test_the_thread_fills_the_pool_and_ends_when_told() -> None:
    world = World(Warm(ready=2))
    world.pool.start()
    wait_until(lambda: len(world.ready()) == 2)
    lost = world.ready()[0]
    world.containers.remove(lost.container)
    world.clock.advance(2)
    world.pool.wake()
    wait_until(lambda: world.slots.get(lost.id) is None)
    world.clock.advance(policy.FIRST_BACKOFF_S)
    world.pool.wake()
    wait_until(lambda: len(world.containers.calls("create")) == 3)
    world.pool.stop()
    assert not [thread for thread in _threads() if thread == "pool"]


def test_the_thread_survives_what_nobody_thought_of() -> None:
    world = World(Warm(ready=1))
    config = world.config
    world.config = dataclasses.replace(Config(), servers=None)  # type: ignore[arg-type]
    world.pool.start()
    wait_until(lambda: "pool" in _threads())
    world.config = config
    world.pool.wake()
    wait_until(lambda: len(world.ready()) == 1)
    world.pool.stop()


def test_a_claim_does_not_wait_for_the_keeper() -> None:
    world = ready()
    with world.containers.hold("list"):
        world.pool.wake()
        world.clock.advance(2)
        looking = together_with(world.step)
        assert isinstance(world.claim(), wire.Started)
    looking.join(timeout=30)


def _threads() -> list[str]:
    return [thread.name for thread in threading.enumerate()]
