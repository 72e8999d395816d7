"""Whatever stands at /etc/hubagent.yaml, and whenever it comes there: only a good file changes anything."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import pytest

from hubagent.config.reading.loader import MAX_BYTES
from hubagent.layout import HUB, NGINX
from hubagent.ports import UnitVerb
from hubagent.state.model import Component
from hubagent.state.status import Reason, Result
from hubagent.web.state_metrics import edit_in_force
from tests.fakes import Survivors
from tests.faults.test_crashes import EDIT
from tests.faults.whole import CHANGING, assert_at_rest, assert_runs_what_is_in_force, in_force
from tests.unit.converge.world import CONFIG, World

BODY = CONFIG + "nginx: {max_body: 7m}\n"
FILE = "/etc/hubagent.yaml"


def _truncated(world: World) -> None:
    world.files.put(FILE, EDIT[: len(EDIT) // 2])


SPOILED: dict[str, Callable[[World], None]] = {
    "empty": lambda world: world.files.put(FILE, ""),
    "truncated": _truncated,
    "deleted": lambda world: world.files.remove(world.layout.config),
    "a folder": lambda world: world.files.put_folder(FILE),
    "a FIFO": lambda world: world.files.put_special(FILE, "FIFO"),
    "a link to nothing": lambda world: world.files.put_link(FILE, "nowhere"),
    "a link to itself": lambda world: world.files.put_link(FILE, FILE),
    "too large": lambda world: world.files.put(FILE, b"#" * (MAX_BYTES + 1)),
    "unreadable": lambda world: world.files.fail("read", FILE, "Permission denied", times=50),
    "never still": lambda world: world.files.tear(FILE, changes=100),
    "writable by all": lambda world: world.files.put(FILE, EDIT, mode=0o666),
    "somebody else's": lambda world: world.files.put(FILE, EDIT, owner="www-data"),
}


@pytest.fixture
def world() -> World:
    world = World()
    assert world.reconcile().result is Result.OK
    return world


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_what_is_no_good_file_changes_nothing_and_is_said(
    world: World, spoil: Callable[[World], None]
) -> None:
    before = len(world.units.journal)
    spoil(world)
    for _ in range(2):
        outcome = world.reconcile()
        assert (outcome.result, world.taken, in_force(world)) == (Result.REJECTED, [], 1)
        status = world.survey.status(outcome)
        assert status.config_errors
        assert all(FILE in message for message in status.config_errors)
        assert not edit_in_force(status)
    assert [call for call in world.units.journal[before:] if call[0] in CHANGING] == []
    world.files.remove(world.layout.config)
    world.edit(BODY)
    assert any(world.reconcile().result is Result.OK for _ in range(100))  # scripted faults run out
    assert b"7340032" in world.current("nginx/hubagent.conf")


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_at_boot_the_last_good_one_runs(world: World, spoil: Callable[[World], None]) -> None:
    spoil(world)
    world.lose_power(Survivors.NOTHING)
    world.reboot_agent()
    assert world.reconcile().result is Result.REJECTED
    assert_runs_what_is_in_force(world)
    assert world.served_metrics is not None
    assert in_force(world) == 1
    assert_at_rest(world, Result.REJECTED)


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_on_a_first_boot_nothing_is_made_up(spoil: Callable[[World], None]) -> None:
    world = World()
    spoil(world)
    outcome = world.reconcile()
    assert (outcome.result, in_force(world), world.generations.numbers()) == (Result.REJECTED, None, ())
    assert world.units.verbs() == []
    status = world.survey.status(outcome)
    assert status.generation is None
    assert status.config_errors


@pytest.mark.parametrize(("name", "verb"), [(NGINX, UnitVerb.RELOAD), (HUB, UnitVerb.RESTART)])
def test_an_edit_during_an_apply_is_the_next_one(world: World, name: str, verb: UnitVerb) -> None:
    """The one under way is finished with the bytes that it began with; never a mix."""
    world.edit(EDIT)
    seen: list[bytes] = []

    def edit_again(done: UnitVerb) -> None:
        if done is verb and not seen:
            seen.append(world.current("hubagent.yaml"))
            world.edit(BODY)

    world.units.on(name, edit_again)
    assert world.reconcile().result is Result.OK
    assert seen == [EDIT.encode()]
    assert world.current("hubagent.yaml") == EDIT.encode()
    assert_runs_what_is_in_force(world)
    assert world.reconcile().result is Result.OK
    assert world.current("hubagent.yaml") == BODY.encode()
    assert_runs_what_is_in_force(world)
    assert_at_rest(world)


def test_a_bad_edit_during_an_apply_does_not_disturb_it(world: World) -> None:
    world.edit(EDIT)
    world.units.on(NGINX, lambda _verb: world.edit("hots: ["))
    assert world.reconcile().result is Result.OK
    assert world.reconcile().result is Result.REJECTED
    assert world.current("hubagent.yaml") == EDIT.encode()
    assert_runs_what_is_in_force(world)


def test_an_edit_between_test_and_switch_is_not_what_was_tested(world: World) -> None:
    """The candidate is tested as it lies in its own folder, which no edit reaches."""
    world.edit(BODY)
    world.units.on("hubagent-nginx-test@2.service", lambda _verb: world.edit(CONFIG))
    assert world.reconcile().result is Result.OK
    assert world.current("hubagent.yaml") == BODY.encode()
    assert world.reconcile().result is Result.OK
    assert world.current("hubagent.yaml") == CONFIG.encode()
    assert world.taken == [(Component.NGINX, "reload")]


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED.keys())
def test_while_systemd_does_not_answer_a_bad_file_is_said_all_the_same(
    world: World, spoil: Callable[[World], None]
) -> None:
    world.units.disconnect()
    assert edit_in_force(world.survey.status(world.reconcile()))
    spoil(world)
    status = world.survey.status(world.reconcile())
    assert (status.result, status.dbus_up) == (Result.FAILED, False)
    assert {Reason.DBUS, Reason.CONFIG} == {problem.reason for problem in status.problems}
    assert all(FILE in message for message in status.config_errors)
    assert not edit_in_force(status)
    world.files.remove(world.layout.config)
    world.edit(world.current("hubagent.yaml").decode())
    assert any(edit_in_force(world.survey.status(world.reconcile())) for _ in range(100)), (
        "put right, still without systemd"
    )


def test_while_systemd_does_not_answer_a_good_file_is_said_to_wait(world: World) -> None:
    world.edit("hots: x\n")
    world.reconcile()
    world.units.disconnect()
    world.edit(BODY)
    status = world.survey.status(world.reconcile())
    assert status.config_errors == ()
    assert status.config_sha256 == hashlib.sha256(BODY.encode()).hexdigest()
    assert [problem.reason for problem in status.problems] == [Reason.DBUS, Reason.DBUS]
    assert status.problems[1].message == f"{FILE} is valid, and waits until it can be applied"
    assert in_force(world) == 1
    world.units.reconnect()
    assert world.reconcile().result is Result.OK
    assert b"7340032" in world.current("nginx/hubagent.conf")


def test_every_mistake_is_logged_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """With or without systemd; and again when it is made again."""
    for _ in range(2):
        world.edit("hots: x\nnginx: {max_body: -1}\n")
        world.reconcile()
        world.units.disconnect()
        world.reconcile()
        world.units.reconnect()
        world.reconcile()
        world.edit(BODY)
        world.reconcile()
    said = [record.getMessage() for record in caplog.records if "refused" in record.getMessage()]
    assert [message.split(":")[:2] for message in said] == [["refused", f" {FILE}"]] * 4
    assert [message.split(":")[2] for message in said] == ["1", "2", "1", "2"]
