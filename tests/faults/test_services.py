"""systemd, nginx, hub, proxy, Docker, certificates and clocks that do what they should not, in the middle of a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubagent.agent.watchdog_clock import WatchdogClock
from hubagent.converge.verify import DEADLINE_S, STABLE_S
from hubagent.layout import HUB, NGINX, PROXY
from hubagent.ports import ActiveState, HttpAnswer, JobResult, UnitVerb
from hubagent.state.model import Component
from hubagent.state.status import Reason, Result
from tests.fakes import ManualClock, Request, certificate_text, key_text
from tests.faults.whole import assert_at_rest, assert_runs_what_is_in_force, in_force
from tests.unit.converge.world import CONFIG, GATEWAY, World

BODY = CONFIG + "nginx: {max_body: 7m}\n"
ADMINS = CONFIG + "hub: {admins: [admin, ada]}\n"
BOTH = CONFIG + "nginx: {max_body: 7m}\nhub: {admins: [admin, ada]}\n"
DAY_S = 86400.0


@pytest.fixture
def world() -> World:
    world = World()
    assert world.reconcile().result is Result.OK
    return world


def _taken_back(world: World, within_s: float) -> str:
    """One check goes back to generation 1, within so many seconds, and everything runs it; why, in words."""
    begun_s = world.clock.monotonic()
    outcome = world.reconcile()
    assert outcome.result is Result.ROLLED_BACK, outcome
    assert world.clock.monotonic() - begun_s < within_s
    assert in_force(world) == 1
    assert_runs_what_is_in_force(world)
    return str(outcome.failure)


# systemd


@pytest.mark.parametrize(("text", "name", "verb"), [(BODY, NGINX, "reload"), (ADMINS, HUB, "restart")])
def test_a_job_that_never_ends_is_given_up_and_the_change_taken_back(
    world: World, text: str, name: str, verb: str
) -> None:
    world.units.hang(UnitVerb(verb), name)
    world.edit(text)
    assert "not finished within" in _taken_back(world, 120.0)
    assert world.reconcile().result is Result.OK, "the machine, not the file, was to blame"
    assert_runs_what_is_in_force(world)


def test_slow_jobs_are_waited_for(world: World) -> None:
    world.units.delay(UnitVerb.RELOAD, NGINX, 25.0)
    world.units.delay(UnitVerb.RESTART, HUB, 80.0)
    world.edit(BOTH)
    assert world.reconcile().result is Result.OK
    assert_runs_what_is_in_force(world)


@pytest.mark.parametrize("result", [JobResult.CANCELED, JobResult.TIMEOUT, JobResult.DEPENDENCY])
def test_a_job_that_ends_otherwise_is_taken_back(world: World, result: JobResult) -> None:
    """Somebody else's job took the place of ours, or what the unit needs did not come."""
    world.units.fail(UnitVerb.RESTART, HUB, result)
    world.edit(BOTH)
    assert result.value in _taken_back(world, 60.0)


def test_the_bus_that_goes_in_the_middle_of_an_apply_is_waited_for(world: World) -> None:
    world.edit(BOTH)
    world.units.on(NGINX, lambda _verb: world.units.disconnect())
    outcome = world.reconcile()
    assert (outcome.result, outcome.retry) == (Result.FAILED, True)
    assert any(world.reconcile().result is Result.FAILED for _ in range(3))
    world.units.reconnect()
    world.units.on(NGINX, lambda _verb: world.units.reconnect())
    for _ in range(3):
        world.reconcile()
    assert world.current("hubagent.yaml") == BOTH.encode()
    assert_runs_what_is_in_force(world)
    assert_at_rest(world)


def test_a_long_verification_feeds_the_watchdog_and_a_hang_does_not() -> None:
    """systemd's WatchdogSec fires for a thread that is stuck, not for one that waits with a deadline."""
    clock, beats = ManualClock(), [0]
    watched = WatchdogClock(clock, lambda: beats.__setitem__(0, beats[0] + 1))
    for _ in range(100):
        watched.sleep(0.6)
    assert beats == [100]
    clock.advance(3600.0)
    assert beats == [100]


# Services that do not stay up


def test_a_hub_that_crashes_again_and_again_is_taken_back_and_set_aside(world: World) -> None:
    """Restart=always: it is active each time somebody looks, but never the same process."""

    def crash_loop(_verb: UnitVerb) -> None:
        if b'"ada"' in world.current("hub/hub.json"):
            for beat in range(1, 40):
                world.clock.later(0.2 * beat, lambda: _restarts_by_itself(world))

    world.units.on(HUB, crash_loop)
    world.edit(ADMINS)
    why = _taken_back(world, DEADLINE_S[Component.HUB] + 20)
    assert "did not stay up" in why
    assert (world.reconcile().result, world.taken) == (Result.REJECTED, []), (
        "not tried again until the file changes"
    )


@pytest.mark.parametrize("answers_after_s", [0.0, 3.0], ids=["while it is watched", "before it answers"])
def test_a_hub_that_somebody_kills_meanwhile_says_nothing_against_the_edit(
    world: World, answers_after_s: float
) -> None:
    """systemd starts it again, with the new settings."""

    def kill(_verb: UnitVerb) -> None:
        now_s = world.clock.monotonic()
        world.clock.later(0.6, lambda: world.units.kill(HUB))
        world.clock.later(2.6, lambda: world.units.restart_by_itself(HUB))

        def health(_request: Request) -> HttpAnswer:
            return HttpAnswer(200 if world.clock.monotonic() >= now_s + answers_after_s else 503, b"{}")

        world.probe.serve_by(f"http://{GATEWAY}:8081/hub/api/health", health)

    world.units.on(HUB, kill)
    world.edit(ADMINS)
    assert world.reconcile().result is Result.OK
    assert [verb for verb, _ in world.units.verbs(HUB)].count("restart") == 1
    assert world.units.unit(HUB).restarts == 1
    assert_runs_what_is_in_force(world)
    assert_at_rest(world)


def test_a_hub_that_is_killed_again_and_again_is_given_up_at_the_deadline(world: World) -> None:
    def kill_each_time(_verb: UnitVerb) -> None:
        if b'"ada"' in world.current("hub/hub.json"):
            for turn in range(40):
                world.clock.later(0.6 + 3 * turn, lambda: _is_killed(world))
                world.clock.later(2.6 + 3 * turn, lambda: _restarts_by_itself(world))

    def health(_request: Request) -> HttpAnswer:
        return HttpAnswer(200 if world.units.unit(HUB).active is ActiveState.ACTIVE else 503, b"{}")

    world.probe.serve_by(f"http://{GATEWAY}:8081/hub/api/health", health)
    world.units.on(HUB, kill_each_time)
    world.edit(ADMINS)
    begun_s = world.clock.monotonic()
    outcome = world.reconcile()
    assert (outcome.result, in_force(world)) == (Result.ROLLED_BACK, 1)
    assert "within 60 s" in str(outcome.failure)
    assert world.clock.monotonic() - begun_s < DEADLINE_S[Component.HUB] + 20
    world.units.restart_by_itself(HUB)  # and nobody kills it any more
    world.reconcile()
    assert_runs_what_is_in_force(world)


def _is_killed(world: World) -> None:
    if b'"ada"' in world.current("hub/hub.json"):
        world.units.kill(HUB)


def _restarts_by_itself(world: World) -> None:
    if b'"ada"' in world.current("hub/hub.json"):
        world.units.restart_by_itself(HUB)


def test_a_unit_at_its_start_limit_is_reset_and_started(world: World) -> None:
    world.units.crash(PROXY)
    assert world.reconcile().result is Result.OK
    assert ("reset-failed", PROXY) in world.units.verbs(PROXY)
    assert_runs_what_is_in_force(world)


def test_a_hub_that_needs_its_time_is_not_given_up(world: World) -> None:
    """Its database is brought up to date: the port answers after 50 s."""
    up_at_s = world.clock.monotonic() + 50.0

    def health(_request: Request) -> HttpAnswer:
        return HttpAnswer(200 if world.clock.monotonic() >= up_at_s else 503, b"{}")

    world.probe.serve_by(f"http://{GATEWAY}:8081/hub/api/health", health)
    world.edit(ADMINS)
    assert world.reconcile().result is Result.OK
    assert world.clock.monotonic() >= up_at_s + STABLE_S


# The hub's API


@pytest.mark.parametrize(
    ("status", "words"), [(401, "answered 401"), (403, "answered 403"), (500, "answered 500")]
)
def test_a_hub_that_does_not_put_routes_back_is_named_and_asked_again(
    world: World, status: int, words: str
) -> None:
    url = f"http://{GATEWAY}:8081/hub/api/proxy"
    world.probe.serve(url, status, method="POST")
    world.units.run(UnitVerb.RESTART, PROXY, timeout_s=1)
    outcome = world.reconcile()
    assert (outcome.result, outcome.retry) == (Result.FAILED, True)
    assert words in str(outcome.failure)
    world.probe.serve_by(url, world._resync, method="POST")
    assert world.reconcile().result is Result.OK
    assert_runs_what_is_in_force(world)


def test_a_hub_that_hangs_costs_its_deadline_alone(world: World) -> None:
    world.probe.hang(f"http://{GATEWAY}:8081/hub/api/proxy")
    world.units.run(UnitVerb.RESTART, PROXY, timeout_s=1)
    begun_s = world.clock.monotonic()
    assert world.reconcile().result is Result.FAILED
    assert world.clock.monotonic() - begun_s < 30.0


def test_a_hub_that_stops_answering_in_the_middle_is_taken_back(world: World) -> None:
    world.edit(ADMINS)
    world.units.on(
        HUB,
        lambda _verb: world.probe.hang(f"http://{GATEWAY}:8081/hub/api/health")
        if b'"ada"' in world.current("hub/hub.json")
        else world.probe.serve(f"http://{GATEWAY}:8081/hub/api/health"),
    )
    assert "does not answer on /hub/api/health" in _taken_back(world, DEADLINE_S[Component.HUB] + 20)


@pytest.mark.parametrize("name", ["proxy-token", "agent-token"])
def test_a_token_file_with_another_token_changes_nothing_that_runs(world: World, name: str) -> None:
    """What runs has the tokens of the generation in force; a hub with another one could not reach the proxy."""
    world.files.write(world.layout.secrets / name, b"0" * 64, mode=0o600)
    before = world.units.verbs()
    assert world.reconcile().result is Result.NOOP
    assert world.units.verbs() == before


# Docker


@pytest.mark.parametrize("is_new", [True, False])
def test_docker_that_is_away_is_no_reason_not_to_serve(*, is_new: bool) -> None:
    """Once there was a generation; the very first one needs Docker's network."""
    world = World()
    if not is_new:
        world.reconcile()
    world.engine.stop()
    world.reboot_agent()
    world.edit(BODY)
    outcome = world.reconcile()
    assert outcome.result is (Result.NOOP if is_new else Result.OK)
    assert outcome.retry or not is_new
    status = world.survey.status(outcome)
    assert any(problem.reason is Reason.DOCKER for problem in status.problems)
    assert not status.docker_up
    world.engine.start()
    world.reconcile()
    assert_runs_what_is_in_force(world)


# Certificates


FILES = CONFIG + "tls: {mode: files, certificate: /etc/ssl/a.crt, key: /etc/ssl/a.key}\n"
CERTIFICATE, KEY = Path("/etc/ssl/a.crt"), Path("/etc/ssl/a.key")


def _certify(world: World, key: str, *, serial: str = "", not_after_s: float = 1_830_000_000.0) -> None:
    names = ("hub.example.org", serial) if serial else ("hub.example.org",)
    world.files.put(CERTIFICATE, certificate_text(*names, key=key, not_after_s=not_after_s))
    world.files.put(KEY, key_text(key), mode=0o600)


@pytest.fixture
def certified(world: World) -> World:
    _certify(world, "one")
    world.edit(FILES)
    assert world.reconcile().result is Result.OK
    return world


def test_a_renewed_certificate_is_a_reload(certified: World) -> None:
    """certbot has written the same two files anew; nobody edited anything."""
    _certify(certified, "two", serial="second")
    assert certified.reconcile().result is Result.OK
    assert certified.taken == [(Component.NGINX, "reload")]
    assert_runs_what_is_in_force(certified)
    assert_at_rest(certified)


@pytest.mark.parametrize("fault", ["another key", "expired", "gone", "no certificate", "half written"])
def test_a_certificate_that_cannot_serve_leaves_the_old_one_serving(certified: World, fault: str) -> None:
    before, served = certified.units.verbs(), certified.served
    if fault == "another key":
        certified.files.put(KEY, key_text("two"), mode=0o600)
    elif fault == "expired":
        _certify(certified, "one", not_after_s=certified.clock.time() - 1)
    elif fault == "gone":
        certified.files.remove(CERTIFICATE)
    else:
        certified.files.put(CERTIFICATE, b"" if fault == "half written" else b"no certificate")
    outcome = certified.reconcile()
    assert (outcome.result, certified.taken) == (Result.REJECTED, [])
    assert "/etc/ssl/a." in str(outcome.problems)
    assert (certified.units.verbs(), certified.served) == (before, served)
    _certify(certified, "three", serial="third")
    assert certified.reconcile().result is Result.OK


def test_a_certificate_exchanged_between_test_and_reload_is_noticed(certified: World) -> None:
    """nginx reads the file when it reloads, whatever was there when it was tested: what is served decides."""
    swapped = False

    def swap(verb: UnitVerb) -> None:
        nonlocal swapped
        if verb is UnitVerb.RELOAD and not swapped:
            swapped = True
            _certify(certified, "two", serial="second")

    def answer(request: Request) -> HttpAnswer:
        marker = certified._marker(request)
        facts = certified.ports.certificates.inspect(CERTIFICATE, KEY)
        return HttpAnswer(marker.status, marker.body, facts.fingerprint_sha256)

    certified.units.on(NGINX, swap)
    certified.probe.serve_by("https://hub.example.org/-/hubagent", answer)
    certified.edit(FILES + "nginx: {max_body: 7m}\n")
    outcome = certified.reconcile()
    assert outcome.result in (Result.FAILED, Result.ROLLED_BACK)
    assert "does not serve the configured certificate" in str(outcome.failure)
    assert outcome.retry
    for _ in range(3):
        certified.reconcile()
    assert b"7340032" in certified.current("nginx/hubagent.conf")
    assert_runs_what_is_in_force(certified)


# Time


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S, 365 * 20 * DAY_S])
def test_a_clock_that_jumps_in_the_middle_of_an_apply_changes_nothing(world: World, jump_s: float) -> None:
    """NTP, an administrator, a suspended laptop: deadlines and pauses go by the monotonic clock."""
    world.units.on(NGINX, lambda _verb: world.clock.step_wall_clock(jump_s))
    world.edit(BOTH)
    begun_s = world.clock.monotonic()
    outcome = world.reconcile()
    assert outcome.result is Result.OK
    assert world.clock.monotonic() - begun_s < 10
    assert_runs_what_is_in_force(world)


@pytest.mark.parametrize("jump_s", [DAY_S, -DAY_S])
def test_after_a_jump_of_the_clock_things_are_as_they_were(world: World, jump_s: float) -> None:
    world.survey.status(world.reconcile())
    world.clock.step_wall_clock(jump_s)
    status = world.survey.status(world.reconcile())
    assert (status.problems, world.taken) == ((), [])
    world.nginx_loads = False
    world.edit(BODY)
    world.clock.step_wall_clock(-jump_s)
    assert "does not serve" in _taken_back(world, 10.0)


def test_what_was_set_aside_stays_so_whatever_the_clock_says(world: World) -> None:
    world.nginx_loads = False
    world.edit(BODY)
    assert [world.reconcile().result for _ in range(2)] == [Result.ROLLED_BACK] * 2
    for jump_s in (-DAY_S, 2 * DAY_S):
        world.clock.step_wall_clock(jump_s)
        world.reboot_agent()
        assert world.reconcile().result is Result.REJECTED
        assert in_force(world) == 1


def test_a_suspended_machine_goes_on_where_it_was(world: World) -> None:
    """CLOCK_MONOTONIC stood still; the wall clock is eight hours on, and a verification is under way."""
    world.units.on(HUB, lambda _verb: world.clock.step_wall_clock(8 * 3600.0))
    world.edit(ADMINS)
    assert world.reconcile().result is Result.OK
    assert world.units.unit(HUB).active is ActiveState.ACTIVE
