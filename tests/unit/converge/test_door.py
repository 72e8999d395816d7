"""Health is what people meet: the login page through nginx, its certificate, a sign-in, the hub's database."""

from __future__ import annotations

import pytest

from hubagent.converge.observe import UNITS
from hubagent.layout import HUB, NGINX, PROXY
from hubagent.ports import HttpAnswer
from hubagent.state.model import Component
from hubagent.state.status import Problem, Reason, Result, Status
from tests.faults.whole import assert_at_rest, assert_runs_what_is_in_force, in_force
from tests.unit.converge.world import CONFIG, GATEWAY, World

ADMINS = CONFIG + "hub: {admins: [admin, ada]}\n"
LOGIN = "https://hub.example.org/hub/login?from=hubagent"


@pytest.fixture
def world() -> World:
    world = World()
    assert world.reconcile().result is Result.OK
    world.pages.probes = 0
    return world


def _status(world: World) -> Status:
    """After a time in which everything is asked again."""
    world.clock.advance(20.0)
    return world.survey.status(world.reconcile())


def _problem(status: Status, reason: Reason) -> Problem:
    (problem,) = (problem for problem in status.problems if problem.reason is reason)
    return problem


def _healthy(status: Status) -> dict[Component, bool]:
    return {one.component: one.healthy for one in status.components}


# What is said at every check


def test_a_machine_that_people_can_come_into_is_not_degraded(world: World) -> None:
    status = _status(world)
    assert (status.degraded, set(_healthy(status).values())) == (False, {True})
    assert not world.pages.is_signed_in, "nobody signs in where nothing was edited"


@pytest.mark.parametrize("answer", [500, 502, 503, 404])
def test_a_login_page_that_does_not_come_is_a_problem_though_the_hub_is_healthy(
    world: World, answer: int
) -> None:
    world.pages.login = answer
    world.pages.error = "TemplateNotFound: login.html"
    status = _status(world)
    problem = _problem(status, Reason.DOOR)
    assert f"https://hub.example.org/hub/login: the login page answers {answer}" in problem.message
    assert "TemplateNotFound: login.html" in problem.message
    assert not _healthy(status)[Component.HUB]
    assert world.probe.request(f"http://{GATEWAY}:8081/hub/api/health").status == 200
    world.pages.login = 200
    assert not _status(world).degraded


def test_a_login_page_without_its_form_is_a_problem(world: World) -> None:
    world.pages.form = b"<p>Welcome</p>"
    assert "no sign-in form" in _problem(_status(world), Reason.DOOR).message


def test_another_program_behind_our_name_is_told(world: World) -> None:
    """A server block of an administrator's that has our name and came first."""
    theirs = HttpAnswer(200, b'<input name="password"><input name="_xsrf" value="x">', "ff" * 32)
    world.probe.serve_by(LOGIN, lambda _request: theirs, method="GET")
    status = _status(world)
    assert "another program answers" in _problem(status, Reason.DOOR).message
    assert "another server block" in _problem(status, Reason.CERTIFICATE).message
    assert not _healthy(status)[Component.NGINX]


def test_a_door_that_does_not_answer_costs_its_deadline_and_is_told(world: World) -> None:
    world.probe.hang(LOGIN)
    begun_s = world.clock.monotonic()
    assert "no answer within 5 s" in _problem(_status(world), Reason.DOOR).message
    assert world.clock.monotonic() - begun_s < 30.0


@pytest.mark.parametrize("component", [Component.NGINX, Component.PROXY, Component.HUB])
def test_a_process_that_somebody_has_stopped_is_named_with_what_lets_it_go_on(
    world: World, component: Component
) -> None:
    """SIGSTOP: it runs, has its sockets, and answers nobody."""
    world.stopped.add(world.units.unit(UNITS[component]).main_pid)
    world.probe.hang(LOGIN)
    status = _status(world)
    problem = _problem(status, Reason.DOOR)
    assert f"systemctl kill --signal=CONT {UNITS[component]}" in problem.message
    assert (problem.component, _healthy(status)[component]) == (component, False)


def test_a_certificate_that_nginx_kept_is_put_right_by_a_reload(world: World) -> None:
    """Its configuration is the generation's, by its marker; what it serves with that is compared, not the file."""
    world.other_certificate = "ee" * 32
    world.units.on(NGINX, lambda _verb: setattr(world, "other_certificate", ""))
    world.clock.advance(20.0)
    outcome = world.reconcile()
    assert (outcome.result, world.taken) == (Result.OK, [(Component.NGINX, "reload")])
    assert not world.survey.status(outcome).degraded
    assert_at_rest(world)


def test_a_certificate_that_no_reload_puts_right_is_told_and_left(world: World) -> None:
    """Another server block has our name. Reloads without end would leave a worker each, for every websocket."""
    world.other_certificate = "ee" * 32
    world.clock.advance(20.0)
    assert world.reconcile().result is Result.FAILED
    for _ in range(3):
        status = _status(world)
        assert "another certificate" in _problem(status, Reason.CERTIFICATE).message
        assert (status.result, world.taken) == (Result.NOOP, [])
    world.other_certificate = ""
    assert not _status(world).degraded
    world.other_certificate = "dd" * 32
    world.clock.advance(20.0)
    assert world.reconcile().result is Result.FAILED, "another one is worth another try"


def test_a_database_that_cannot_be_used_is_told_in_its_own_words(world: World) -> None:
    """PostgreSQL is stopped: the hub's health, its metrics and the login page answer all the same."""
    world.pages.database = 'connection to server at "db", port 5432 failed: Connection refused'
    status = _status(world)
    problem = _problem(status, Reason.DATABASE)
    assert problem.message == f"the hub's database cannot be used: {world.pages.database}"
    assert not _healthy(status)[Component.HUB]
    world.pages.database = ""
    assert not _status(world).degraded


@pytest.mark.parametrize("status", [500, 403])
def test_a_hub_whose_own_session_is_broken_is_told(world: World, status: int) -> None:
    """JupyterHub takes a token that it cannot look up for a wrong one."""
    world.pages.info, world.pages.error = status, "PendingRollbackError: can't reconnect"
    assert f"answers {status}" in _problem(_status(world), Reason.DATABASE).message
    assert "PendingRollbackError" in _problem(_status(world), Reason.DATABASE).message


def test_a_hub_from_before_it_could_say_so_is_judged_by_what_it_answers(world: World) -> None:
    world.pages.is_old = True
    assert not _status(world).degraded
    world.pages.info = 500
    assert "answers 500" in _problem(_status(world), Reason.DATABASE).message
    world.pages.info = 200
    world.edit(ADMINS)
    assert world.reconcile().result is Result.OK


def test_the_token_goes_to_the_hub_alone_and_never_through_the_front(world: World) -> None:
    """On port 443 somebody else may listen."""
    _status(world)
    world.edit(ADMINS)
    world.reconcile()
    for request in world.probe.journal:
        if request.url.startswith("https:"):
            assert "Authorization" not in request.headers
            assert world.agent_token not in str(request)


def test_who_has_taken_the_hubs_port_is_told_and_never_sees_the_token(world: World) -> None:
    world.take_port(8081, "nc (pid 99, session-3.scope)")
    before = len(world.probe.journal)
    status = _status(world)
    assert "port 8081 is held by nc (pid 99, session-3.scope)" in _problem(status, Reason.PORT).message
    assert not _healthy(status)[Component.HUB]
    asked = [one for one in world.probe.journal[before:] if f"{GATEWAY}:8081" in one.url]
    assert not [one for one in asked if "Authorization" in one.headers]
    world.free_port(8081)
    assert not _status(world).degraded


# After an edit of the hub


def test_an_edit_of_the_hub_is_verified_by_signing_in(world: World) -> None:
    world.edit(ADMINS)
    assert world.reconcile().result is Result.OK
    assert (world.pages.probes, world.pages.is_signed_in) == (1, False)


@pytest.mark.parametrize(
    ("page", "status", "words"),
    [
        ("login", 500, "the login page answers 500"),
        ("signing_in", 500, "signing in answers 500"),
        ("signing_in", 403, "signing in answers 403"),
        ("home", 500, "the home page answers 500"),
        ("home", 403, "the home page answers 403"),
    ],
)
def test_a_hub_that_nobody_could_use_is_taken_back_with_its_own_error(
    world: World, page: str, status: int, words: str
) -> None:
    def start(_verb: object) -> None:
        is_bad = b'"ada"' in world.current("hub/hub.json")
        setattr(world.pages, page, status if is_bad else {"signing_in": 303}.get(page, 200))

    world.units.on(HUB, start)
    world.pages.error = "UndefinedError: 'nothing' is undefined"
    world.edit(ADMINS)
    outcome = world.reconcile()
    assert (outcome.result, in_force(world)) == (Result.ROLLED_BACK, 1)
    assert words in str(outcome.failure)
    assert "UndefinedError: 'nothing' is undefined" in str(outcome.failure)
    assert_runs_what_is_in_force(world)
    assert not world.pages.is_signed_in
    assert_at_rest(world, Result.REJECTED)


def test_an_edit_that_touches_no_hub_signs_nobody_in(world: World) -> None:
    before = len(world.probe.journal)
    for edit in ("nginx: {max_body: 7m}\n", "servers: {julia: {memory: 3G}}\n"):
        world.edit(CONFIG + edit)
        assert world.reconcile().result is Result.OK
    assert not [one for one in world.probe.journal[before:] if "/hub/login" in one.url or "probe" in one.url]


def test_other_authenticators_accounts_are_not_tried(world: World) -> None:
    world.edit(CONFIG + "hub: {authenticator: github}\n")
    world.pages.form = b"<a>Sign in with GitHub</a>"
    assert world.reconcile().result is Result.OK
    assert world.pages.probes == 0
    assert not _status(world).degraded


def test_what_stands_in_front_of_the_hub_is_no_fault_of_an_edit_of_the_hub(world: World) -> None:
    """The proxy has no port, so nobody comes in; the edit is good all the same, and the hub is asked itself."""
    world.clock.advance(60.0)
    world.take_port(8000)
    world.edit(ADMINS)
    outcome = world.reconcile()
    assert outcome.result is Result.OK
    assert world.pages.probes == 1
    assert _problem(_status(world), Reason.PORT).component is Component.PROXY
    assert world.units.verbs(PROXY)[-1:] != [("restart", PROXY)]
