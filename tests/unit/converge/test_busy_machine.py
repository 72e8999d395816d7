"""A machine that is too busy for a deadline: said so, tried again with more time, and never the file's fault."""

from __future__ import annotations

import pytest

from hubagent.cli.status_report import status_text
from hubagent.converge.intent import Outcome
from hubagent.converge.observe import UNITS
from hubagent.converge.retry import Allowance
from hubagent.errors import TemporaryError
from hubagent.layout import HUB_TEST, NGINX_TEST
from hubagent.ports import ActiveState, HttpAnswer, JobResult, UnitVerb
from hubagent.state.model import Component
from hubagent.state.status import Reason, Result
from hubagent.web.state_metrics import edit_in_force
from tests.fakes.http import Request
from tests.unit.converge.world import CONFIG, GATEWAY, World

ADMINS = CONFIG + "hub: {admins: [ada]}\n"
BODY = CONFIG + "nginx: {max_body: 7M}\n"
NGINX, HUB, PROXY, FIREWALL = (
    UNITS[one] for one in (Component.NGINX, Component.HUB, Component.PROXY, Component.FIREWALL)
)
HEALTH = f"http://{GATEWAY}:8081/hub/api/health"
TESTS = [(ADMINS, HUB_TEST, 40, 320), (BODY, NGINX_TEST, 20, 160)]


@pytest.fixture
def world() -> World:
    world = World()
    assert world.reconcile().result is Result.OK
    return world


def _not_blamed(world: World, outcome: Outcome) -> str:
    """Nothing counts against the file; what is said of it."""
    status = world.survey.status(outcome)
    assert outcome.result in (Result.FAILED, Result.ROLLED_BACK), outcome
    assert edit_in_force(status)
    assert status.config_errors == ()
    told = {problem.reason for problem in status.problems}
    assert told <= {Reason.BUSY, Reason.DOOR, Reason.DATABASE}, "but for a service that is down"
    assert world.files.read(world.layout.state / "quarantine.json", max_bytes=99) is None
    assert world.generations.current() == 1
    return " ".join(problem.message for problem in status.problems)


@pytest.mark.parametrize(("text", "unit", "first_s", "most_s"), TESTS)
def test_a_test_that_takes_long_is_told_so_and_gets_more_time(
    world: World, text: str, unit: str, first_s: int, most_s: int
) -> None:
    world.edit(text)
    world.units.delay(UnitVerb.START, unit.format(2), 1.5 * first_s)
    world.units.delay(UnitVerb.START, unit.format(2), 1.5 * first_s)
    words = _not_blamed(world, world.reconcile())
    assert (
        f"took longer than {first_s} s, as happens on a busy machine; next try with {2 * first_s} s" in words
    )
    assert "is valid, and waits" in words
    assert "refuses" not in words
    assert ("stop", unit.format(2)) in world.units.verbs(), "it burns no processor any more"
    assert world.units.unit(unit.format(2)).active is ActiveState.INACTIVE, "and is no failed unit"
    outcome = world.reconcile()
    assert (outcome.result, world.generations.current()) == (Result.OK, 2)
    assert world.reconcile().result is Result.NOOP


@pytest.mark.parametrize(("text", "unit", "first_s", "most_s"), TESTS)
def test_a_test_that_never_ends_is_bounded_and_repairs_go_on(
    world: World, text: str, unit: str, first_s: int, most_s: int
) -> None:
    """The last good state goes on: what breaks in it is put right between the tries."""
    world.edit(text)
    for number in range(2, 20):
        world.units.hang(UnitVerb.START, unit.format(number), times=9)
    longest_s, repaired = 0.0, 0
    for _ in range(60):
        world.units.change(PROXY, active=ActiveState.INACTIVE, sub="dead", main_pid=0)
        begun_s = world.clock.monotonic()
        outcome = world.reconcile()
        longest_s = max(longest_s, world.clock.monotonic() - begun_s)
        repaired += (Component.PROXY, "start") in world.taken
        words = _not_blamed(world, outcome)
        assert "next try" in words
        world.clock.advance(20.0)
    assert most_s <= longest_s < most_s + 15
    assert repaired > 30
    assert "is valid, and waits" in words
    assert " min" in words, "and says until when"


def test_a_first_install_on_a_busy_machine_comes_up() -> None:
    world = World()
    world.units.delay(UnitVerb.START, HUB_TEST.format(1), 150.0, times=3)
    looks = [world.reconcile() for _ in range(4)]
    assert [outcome.result for outcome in looks] == [Result.FAILED, Result.FAILED, Result.OK, Result.NOOP]
    assert all(outcome.retry for outcome in looks[:2])


def test_what_was_needed_once_is_given_again(world: World) -> None:
    allowance = Allowance(40.0, most_s=320.0)
    allowance.met(3.0)
    assert allowance.allowed_s == 40.0
    allowance.ran_out()
    allowance.met(70.0)
    assert allowance.allowed_s == 140.0
    for _ in range(9):
        allowance.ran_out()
    assert (allowance.allowed_s, allowance.is_at_its_end) == (320.0, True)


@pytest.mark.parametrize(("text", "unit", "_first", "_most"), TESTS)
@pytest.mark.parametrize("ended", ["oom-kill", "signal", "core-dump", "resources", "timeout"])
def test_a_test_that_was_killed_says_nothing_against_the_file(
    world: World, text: str, unit: str, _first: int, _most: int, ended: str
) -> None:
    """Whatever an earlier test, or it itself, has written down."""
    for log in ("hub-test.log", "nginx-test.log"):
        world.files.write(world.layout.run / log, b"nginx: [emerg] of yesterday\n", mode=0o600)
    world.edit(text)
    world.units.fail(UnitVerb.START, unit.format(2), ended=ended)
    outcome = world.reconcile()
    assert (outcome.result, outcome.retry) == (Result.FAILED, True)
    assert "yesterday" not in str(outcome.failure)
    assert edit_in_force(world.survey.status(outcome))
    assert world.units.unit(unit.format(2)).active is not ActiveState.FAILED, "no failed unit is left"
    assert world.reconcile().result is Result.OK


@pytest.mark.parametrize(
    "result", [JobResult.CANCELED, JobResult.TIMEOUT, JobResult.DEPENDENCY, JobResult.LOST]
)
def test_a_test_that_was_not_made_says_nothing_against_the_file(world: World, result: JobResult) -> None:
    world.edit(ADMINS)
    world.units.fail(UnitVerb.START, HUB_TEST.format(2), result)
    outcome = world.reconcile()
    assert (outcome.result, outcome.retry) == (Result.FAILED, True)
    assert edit_in_force(world.survey.status(outcome))
    assert world.reconcile().result is Result.OK


def test_a_test_that_an_ended_agent_left_behind_is_not_taken_for_ours(world: World) -> None:
    world.edit(ADMINS)
    world.units.change(HUB_TEST.format(2), active=ActiveState.ACTIVATING, sub="start")
    assert world.reconcile().result is Result.OK
    assert [verb for verb, _ in world.units.verbs(HUB_TEST.format(2))] == ["stop", "reset-failed", "start"]


@pytest.mark.parametrize(
    ("component", "url", "text", "first_s"),
    [
        (Component.HUB, HEALTH, ADMINS, 60),
        (Component.NGINX, "https://hub.example.org/-/hubagent", BODY, 5),
    ],
)
def test_a_service_that_answers_late_gets_more_time(
    world: World, component: Component, url: str, text: str, first_s: int
) -> None:
    """Taken back, with the one before in force, and retried automatically."""
    late = [1.6 * first_s]
    answer = world._if_up if component is Component.HUB else None

    def slow(_verb: UnitVerb) -> None:
        up_at_s = world.clock.monotonic() + (late.pop() if late else 0.0)

        def answers(request: Request) -> HttpAnswer:
            if world.clock.monotonic() < up_at_s:
                raise TemporaryError("no answer within 2 s")
            return answer(component) if answer else world._marker(request)

        world.probe.serve_by(url, answers)

    world.units.on(UNITS[component], slow)
    world.edit(text)
    outcome = world.reconcile()
    assert outcome.result is Result.ROLLED_BACK
    words = _not_blamed(world, outcome)
    assert f"within {first_s} s, as happens on a busy machine; next try with" in words
    assert outcome.retry
    assert world.reconcile().result is Result.OK


@pytest.mark.parametrize(("text", "name", "verb"), [(BODY, NGINX, "reload"), (ADMINS, HUB, "restart")])
def test_a_job_that_takes_long_gets_more_time(world: World, text: str, name: str, verb: str) -> None:
    seconds = 150.0 if name == HUB else 45.0
    world.units.delay(UnitVerb(verb), name, seconds)
    world.units.delay(UnitVerb(verb), name, 0.0)  # of the way back
    world.units.delay(UnitVerb(verb), name, seconds)
    world.edit(text)
    outcome = world.reconcile()
    assert outcome.result is Result.ROLLED_BACK
    assert "not finished within" in _not_blamed(world, outcome)
    assert world.reconcile().result is Result.OK


def test_a_unit_at_its_own_time_limit_says_nothing_against_the_file(world: World) -> None:
    world.edit(ADMINS)
    world.units.fail(UnitVerb.RESTART, HUB, ended="timeout")
    outcome = world.reconcile()
    assert outcome.result is Result.ROLLED_BACK
    assert "as happens on a busy machine" in _not_blamed(world, outcome)


def test_a_hub_that_never_answers_is_tried_ever_less_often(world: World) -> None:
    """Each try pauses logins: half of all time is the most that it may take, and soon a tenth."""
    hung = [True]

    def health(_request: Request) -> HttpAnswer:
        if hung[0] and b'"ada"' in world.current("hub/hub.json"):
            raise TemporaryError("no answer within 2 s")
        return world._if_up(Component.HUB)

    world.probe.serve_by(HEALTH, health)
    world.edit(ADMINS)
    begun_s, tries = world.clock.monotonic(), 0
    while world.clock.monotonic() < begun_s + 4 * 3600:
        outcome = world.reconcile()
        tries += outcome.result is Result.ROLLED_BACK
        _not_blamed(world, outcome)
        world.clock.advance(20.0)
    assert 4 <= tries <= 12
    hung[0] = False
    assert world.reconcile(retry=True).result is Result.OK, "`hubagent apply` does not wait"


def test_another_edit_does_not_wait_for_the_one_before(world: World) -> None:
    world.edit(ADMINS)
    for _ in range(2):
        world.units.hang(UnitVerb.START, HUB_TEST.format(2))
        world.reconcile()
    assert world.reconcile().result is Result.FAILED
    world.edit(BODY)
    assert world.reconcile().result is Result.OK


def test_a_repair_that_takes_long_says_nothing_against_the_file(world: World) -> None:
    world.units.change(HUB, active=ActiveState.INACTIVE, sub="dead", main_pid=0)
    world.units.hang(UnitVerb.START, HUB)
    outcome = world.reconcile()
    assert outcome.result is Result.FAILED
    _not_blamed(world, outcome)


def test_the_test_of_another_package_that_takes_long_leaves_the_hub_alone_and_is_made_again(
    world: World,
) -> None:
    world.upgrade("jupyterhub", "1.0", "another")
    world.units.change(HUB, restarts=0)
    world.files.put(
        "/run/jupyterhub/loaded",
        world.files.read(world.layout.root / "run/jupyterhub/loaded", max_bytes=999).content.split(b"\n")[0]
        + b"\n1.0 "
        + b"0" * 64
        + b"\n",
    )  # type: ignore[union-attr]
    world.units.delay(UnitVerb.START, HUB_TEST.format(1), 60.0)
    outcome = world.reconcile()
    assert (outcome.result, outcome.retry, world.taken) == (Result.NOOP, True, [])
    assert "took longer than 40 s" in outcome.problems[0].message
    assert outcome.problems[0].reason is Reason.BUSY
    world.units.delay(UnitVerb.START, HUB_TEST.format(1), 60.0)
    assert world.reconcile().result is Result.OK


@pytest.mark.parametrize("component", [Component.HUB, Component.PROXY, Component.NGINX])
def test_what_a_service_says_of_its_own_end_is_told(world: World, component: Component) -> None:
    """As its journal has it; without what was rendered as a secret, and nothing that a terminal would obey."""
    token = world.current("proxy/token").decode()
    said = f"sqlalchemy.exc.OperationalError: no such column \x1b[31musers.extra\x1b[0m, token {token}"
    world.units.crash(UNITS[component])
    world.units.fail(UnitVerb.START, UNITS[component], times=3)
    world.machine.journals[UNITS[component]] = [
        "[I 2026-11-30 10:00:00.000 JupyterHub app:1] Running",
        "Traceback (most recent call last):",
        '  File "app.py", line 1, in start',
        said,
    ]
    outcome = world.reconcile()
    assert "OperationalError: no such column users.extra" in str(outcome.failure)
    assert token not in str(outcome.failure)
    assert "\x1b" not in str(outcome.failure)


def test_people_and_scripts_are_told_that_it_is_tried_again(world: World) -> None:
    """Not that the edit was refused, nor that it waits for another one; and `apply` exits as for "not now"."""

    def health(_request: Request) -> HttpAnswer:
        return HttpAnswer(503 if b'"ada"' in world.current("hub/hub.json") else 200, b"{}")

    world.probe.serve_by(HEALTH, health)
    world.edit(ADMINS)
    status = world.survey.status(world.reconcile())
    text = status_text(status, now_s=world.clock.time(), width=200)
    assert "rolled back for now and is retried automatically" in text
    assert status.is_late
    world.units.hang(UnitVerb.START, HUB_TEST.format(2), times=9)
    world.reconcile()
    status = world.survey.status(world.reconcile())
    text = status_text(status, now_s=world.clock.time(), width=200)
    assert "refused" not in text
    assert "retried" in text
    assert status.is_late
    world.edit("hots: x\n")
    assert not world.survey.status(world.reconcile()).is_late
