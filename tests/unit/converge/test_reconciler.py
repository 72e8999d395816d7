"""The promises of one check: nothing bad is applied, what fails is taken back, what is right is left alone."""

from __future__ import annotations

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest

from hubagent.converge.generations import Switch
from hubagent.converge.in_force import Declared
from hubagent.converge.intent import Order
from hubagent.ladder import Level
from hubagent.layout import HUB, HUB_TEST, NGINX, PROXY
from hubagent.ports import JobResult, UnitVerb
from hubagent.state.model import Component
from hubagent.state.status import Reason, Result
from tests.unit.converge.world import CONFIG, World

RECORDED = Path(__file__).parent / "recorded"
BODY = CONFIG + "nginx: {max_body: 7m}\n"
ADMINS = CONFIG + "hub: {admins: [admin, ada]}\n"
MEMORY = CONFIG + "servers: {julia: {memory: 1G}}\n"


@pytest.fixture
def world() -> World:
    world = World()
    first = world.reconcile()
    assert first.result is Result.OK, first
    return world


def test_the_first_look_brings_everything_up(world: World) -> None:
    assert world.generations.current() == 1
    assert world.reconcile().result is Result.NOOP
    assert world.survey.status(world.reconcile()).problems == ()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (BODY, [(Component.NGINX, "reload")]),
        (ADMINS, [(Component.HUB, "restart")]),
        (MEMORY, [(Component.HUB, "none")]),
        (CONFIG + "# a comment\n", []),
    ],
)
def test_an_edit_takes_its_steps_once(world: World, text: str, expected: list[object]) -> None:
    world.edit(text)
    outcome = world.reconcile()
    assert world.taken == expected
    assert outcome.result is (Result.OK if expected else Result.NOOP)
    assert world.reconcile().result is Result.NOOP


def test_a_hub_of_an_older_package_is_restarted_once(world: World) -> None:
    world.upgrade("jupyterhub", "1.0", "new")
    outcome = world.reconcile()
    assert (outcome.result, world.taken) == (Result.OK, [(Component.HUB, "restart")])
    assert outcome.prepared is not None
    assert [step.level for step in outcome.prepared.plan.steps] == [Level.HUB_RESTART]
    assert outcome.prepared.plan.generation is None
    assert world.reconcile().result is Result.NOOP
    world.upgrade("jupyterhub", "1.0", "newer")
    world.units.fail(UnitVerb.RESTART, HUB)
    assert world.reconcile().result is Result.FAILED


def test_a_hub_of_another_package_that_would_not_work_does_not_replace_the_one_that_runs(
    world: World,
) -> None:
    """As after going back to a package whose JupyterHub is older than the database."""
    test = HUB_TEST.format(1)
    world.upgrade("jupyterhub", "1.0", "new")
    world.files.put("/run/hubagent/hub-test.log", "hub.database: a later one\n")
    world.units.fail(UnitVerb.START, test)
    world.edit(BODY)
    outcome = world.reconcile()
    assert (outcome.result, world.taken) == (Result.OK, [(Component.NGINX, "reload")])
    (problem,) = outcome.problems
    assert (problem.component, problem.reason) == (Component.HUB, Reason.PREFLIGHT)
    assert problem.message == (
        "the installed JupyterHub would not work: hub.database: a later one; the running hub is left alone"
    )
    assert (world.reconcile().problems, world.taken) == ((), [(Component.HUB, "restart")])


def test_a_hub_of_another_package_is_tested_with_the_settings_that_it_will_get(world: World) -> None:
    """It may not know those in force, which the package before has written."""
    world.upgrade("jupyterhub", "1.0", "new")
    world.units.fail(UnitVerb.START, HUB_TEST.format(1))
    world.edit(ADMINS)
    outcome = world.reconcile()
    assert (outcome.result, outcome.problems, world.taken) == (Result.OK, (), [(Component.HUB, "restart")])
    assert ("start", HUB_TEST.format(2)) in world.units.journal


def test_programs_of_another_version_than_the_agents_wait_for_it(world: World) -> None:
    world.upgrade("jupyterhub", "1.1", "new")
    assert world.reconcile().result is Result.NOOP


def test_a_proxy_of_an_older_package_waits_for_leave(world: World) -> None:
    world.upgrade("configurable-http-proxy", "1.0", "new")
    outcome = world.reconcile()
    status = world.survey.status(outcome)
    assert (outcome.result, world.taken) == (Result.NOOP, [])
    assert [(step.component, step.level) for step in status.pending] == [
        (Component.PROXY, Level.PROXY_RESTART)
    ]
    assert "older build than the installed 1.0" in status.pending[0].reason
    assert "older build" in {one.component: one.detail for one in status.components}[Component.PROXY]
    assert world.reconcile(allow_disruption=True).result is Result.OK
    assert world.taken == [(Component.PROXY, "restart"), (Component.PROXY, "resync")]
    assert world.survey.status(world.reconcile()).pending == ()


def test_an_edit_taken_back_does_not_restart_an_older_proxy(world: World) -> None:
    world.upgrade("configurable-http-proxy", "1.0", "new")
    world.nginx_loads = False
    world.edit(BODY)
    assert world.reconcile().result is Result.ROLLED_BACK
    assert ("restart", PROXY) not in world.units.journal


@pytest.mark.parametrize("text", ["", "host: [", "hots: x\n", "nginx: {max_body: -1}\n", "\x00"])
def test_a_bad_file_changes_nothing_and_is_explained(world: World, text: str) -> None:
    before = list(world.units.journal)
    world.edit(text)
    outcome = world.reconcile()
    assert (outcome.result, world.taken, world.generations.current()) == (Result.REJECTED, [], 1)
    assert outcome.prepared is not None
    assert all(str(world.layout.config) in message for message in outcome.prepared.intent.errors)
    assert [call for call in world.units.journal[len(before) :] if call[0] != "unit"] == []


def test_a_bad_file_does_not_stop_repairs(world: World) -> None:
    world.edit("hots: x\n")
    world.units.run(UnitVerb.STOP, NGINX, timeout_s=1)
    outcome = world.reconcile()
    assert (outcome.result, world.taken) == (Result.REJECTED, [(Component.NGINX, "start")])


def test_a_reload_that_does_not_take_effect_is_taken_back_and_not_tried_again(world: World) -> None:
    world.nginx_loads = False
    world.machine.complaint = "bind() to 0.0.0.0:443 failed (98: Address already in use)"
    world.edit(BODY)
    begun = world.clock.monotonic()
    outcome = world.reconcile()
    assert outcome.result is Result.ROLLED_BACK
    assert "bind() to 0.0.0.0:443 failed" in str(outcome.failure)
    assert world.clock.monotonic() - begun < 10
    assert world.generations.current() == 1
    assert outcome.retry  # once more: the reload itself may have failed for reasons of its own
    assert world.reconcile().result is Result.ROLLED_BACK
    again = world.reconcile()
    assert (again.result, world.taken) == (Result.REJECTED, [])
    assert any(problem.reason is Reason.VERIFY for problem in again.problems)
    world.nginx_loads = True
    world.edit(BODY + "# touched\n")
    assert world.reconcile().result is Result.OK


def test_a_reload_that_fails_once_is_taken_back_and_repaired_by_the_next_look(world: World) -> None:
    world.units.fail(UnitVerb.RELOAD, NGINX, JobResult.FAILED)
    world.edit(BODY)
    assert world.reconcile().result is Result.ROLLED_BACK
    assert world.generations.current() == 1
    assert world.reconcile().result is Result.OK
    assert b"7340032" in world.current("nginx/hubagent.conf")


def test_what_nginx_refuses_in_the_test_is_never_put_in_force(world: World) -> None:
    world.units.fail(UnitVerb.START, "hubagent-nginx-test@2.service", JobResult.FAILED)
    world.files.write(world.layout.run / "nginx-test.log", b"nginx: [emerg] no such thing\n", mode=0o600)
    world.edit(BODY)
    outcome = world.reconcile()
    assert (outcome.result, world.taken, world.generations.current()) == (Result.REJECTED, [], 1)
    assert "no such thing" in str(outcome.failure)


def test_a_taken_metrics_port_is_taken_back(world: World) -> None:
    world.taken_ports = {9999}
    world.edit(CONFIG + 'metrics: {listen: "127.0.0.1:9999"}\n')
    outcome = world.reconcile()
    assert outcome.result is Result.ROLLED_BACK
    assert world.served_metrics is not None
    assert str(world.served_metrics.listen) == "127.0.0.1:9811"
    assert "9999" in str(outcome.failure)


def test_who_may_read_the_metrics_is_in_force_at_once(world: World) -> None:
    """Although the address is the same: a login that waits for the agent's next start is none."""
    hashed = "$2b$12$abcdefghijklmnopqrstuuN6b3Q9bq0gLr7b3o9Qm0Qe9mG2xYJ5e"
    for text, users in ((f'metrics: {{users: {{ada: "{hashed}"}}}}\n', {"ada": hashed}), ("", {})):
        world.edit(CONFIG + text)
        assert world.reconcile().result is Result.OK
        assert world.taken == [(Component.METRICS, "reload")]
        assert world.served_metrics is not None
        assert world.served_metrics.users == users
    assert world.reconcile().result is Result.NOOP


def test_a_hub_that_dies_at_once_is_taken_back(world: World) -> None:
    world.edit(ADMINS)
    world.units.on(
        HUB, lambda verb: world.units.crash(HUB) if b'"ada"' in world.current("hub/hub.json") else None
    )
    outcome = world.reconcile()
    assert outcome.result is Result.ROLLED_BACK
    assert HUB in str(outcome.failure)


def test_a_proxy_restarted_by_anyone_gets_its_routes_back(world: World) -> None:
    world.units.run(UnitVerb.RESTART, PROXY, timeout_s=1)
    assert world.routes == {"/": {}}
    world.reconcile()
    assert world.routes == {"/": {"hub": True}}


def test_docker_down_is_said_and_the_rest_goes_on(world: World) -> None:
    world.engine.stop()
    world.edit(BODY)
    outcome = world.reconcile()
    assert (outcome.result, world.taken) == (Result.OK, [(Component.NGINX, "reload")])
    assert any(problem.reason is Reason.DOCKER for problem in world.survey.status(outcome).problems)


def test_no_bus_is_survived_and_retried(world: World) -> None:
    world.units.disconnect()
    outcome = world.reconcile()
    assert (outcome.result, outcome.retry) == (Result.FAILED, True)
    world.units.reconnect()
    assert world.reconcile().result is Result.NOOP


@pytest.mark.parametrize(("text", "name", "verb"), [(BODY, NGINX, "reload"), (ADMINS, HUB, "restart")])
def test_a_job_whose_end_nobody_told_is_judged_by_what_serves(
    world: World, text: str, name: str, verb: str
) -> None:
    """The bus or systemd itself was restarted meanwhile; the job was carried out all the same."""
    world.units.lose(UnitVerb(verb), name, is_carried_out=True)
    world.edit(text)
    assert world.reconcile().result is Result.OK
    assert world.reconcile().result is Result.NOOP


@pytest.mark.parametrize(("text", "name", "verb"), [(BODY, NGINX, "reload"), (ADMINS, HUB, "restart")])
def test_a_job_that_was_lost_is_taken_back_and_no_fault_of_the_file(
    world: World, text: str, name: str, verb: str
) -> None:
    world.units.lose(UnitVerb(verb), name, is_carried_out=False)
    world.edit(text)
    outcome = world.reconcile()
    assert (outcome.result, outcome.retry, world.generations.current()) == (Result.ROLLED_BACK, True, 1)
    assert world.reconcile().result is Result.OK
    assert world.reconcile().result is Result.NOOP


def test_rollback_by_hand_stays_until_the_file_changes(world: World) -> None:
    world.edit(BODY)
    world.reconcile()
    assert b"7340032" in world.current("nginx/hubagent.conf")
    assert world.reconcile(rollback_to=1).result is Result.OK
    assert b"7340032" not in world.current("nginx/hubagent.conf")
    assert (world.reconcile().result, world.taken) == (Result.REJECTED, [])
    world.edit(BODY + "# again\n")
    assert world.reconcile().result is Result.OK
    assert b"7340032" in world.current("nginx/hubagent.conf")


def test_a_damaged_generation_is_written_anew(world: World) -> None:
    path = world.layout.current / "hub/servers.json"
    world.files.write(path, b"{}", mode=0o640)
    assert world.reconcile().result is Result.OK
    assert world.current("hub/servers.json") != b"{}"
    assert world.reconcile().result is Result.NOOP


def test_a_generation_that_an_earlier_hubagent_wrote_is_no_other(world: World) -> None:
    """Its notation has changed, not its meaning: nothing is written, reloaded or restarted."""
    _as_the_first_version_wrote_it(world)
    world.reboot_agent()
    world.reconcile()  # the new agent opens its own port
    assert (world.generations.numbers(), world.taken) == ((1,), [(Component.METRICS, "reload")])
    assert world.reconcile().result is Result.NOOP
    world.edit("host: [")  # what is in force stays, without another generation of it
    assert (world.reconcile().result, world.generations.current(), world.taken) == (Result.REJECTED, 1, [])
    world.edit(CONFIG + "servers: {julia: {build: {}, warm: {ready: 3}}}\n")
    assert world.reconcile().result is Result.OK
    assert world.generations.current() == 2
    assert [one for one in world.taken if one[1] != "none"] == []


def _as_the_first_version_wrote_it(world: World) -> None:
    folder = world.generations.folder(1)
    agent = (RECORDED / "agent-servers-1.json").read_bytes()
    state = world.files.read(folder / "manifest.json", max_bytes=1024**2)
    assert state is not None
    manifest = json.loads(state.content)
    manifest["digest"] = "0" * 64
    manifest.pop("sha256")
    for file in manifest["files"]:
        if file["path"] == "agent/servers.json":
            file["sha256"] = hashlib.sha256(agent).hexdigest()
    world.files.write(folder / "agent/servers.json", agent, mode=0o600)
    world.files.write(folder / "manifest.json", json.dumps(manifest).encode(), mode=0o600)


def test_plan_is_what_apply_does(world: World) -> None:
    world.edit(ADMINS + "nginx: {max_body: 9m}\n")
    promised = [(step.component, step.verb.value) for step in world.reconciler.preview(Order()).plan.steps]
    world.reconcile()
    assert world.taken == promised


def test_only_five_generations_are_kept(world: World) -> None:
    for size in range(1, 9):
        world.edit(CONFIG + f"nginx: {{max_body: {size}m}}\n")
        assert world.reconcile().result is Result.OK
    assert len(world.generations.numbers()) == 5
    assert world.generations.current() == max(world.generations.numbers())


def test_an_interrupted_switch_goes_back_first_and_is_then_tried_again(world: World) -> None:
    world.edit(BODY)

    class PowerCut(BaseException):
        pass

    powered = False

    def cut(_verb: UnitVerb) -> None:
        if not powered:
            raise PowerCut

    world.units.on(NGINX, cut)
    with pytest.raises(PowerCut):
        world.reconcile()
    assert world.generations.current() == 2
    powered = True
    world.reboot_agent()
    assert world.reconcile().result is Result.OK
    assert b"7340032" in world.served.encode()


def test_a_first_generation_that_is_refused_leaves_nothing_in_force() -> None:
    world = World()
    world.units.fail(UnitVerb.START, "hubagent-hub-test@1.service", JobResult.FAILED)
    assert world.reconcile().result is Result.REJECTED
    assert (world.generations.current(), world.generations.numbers(), world.generations.interrupted()) == (
        None,
        (),
        None,
    )
    assert world.reconcile().result is Result.OK


def test_a_generation_that_was_taken_back_is_no_place_to_roll_back_to(world: World) -> None:
    world.units.fail(UnitVerb.RELOAD, NGINX, JobResult.FAILED)
    world.edit(BODY)
    assert world.reconcile().result is Result.ROLLED_BACK
    world.edit(ADMINS)
    assert world.reconcile().result is Result.OK
    assert world.generations.served() == (1, 3)


@pytest.mark.parametrize("is_new", [True, False])
def test_a_taken_metrics_port_at_start_degrades_and_everything_else_comes_up(*, is_new: bool) -> None:
    world = World()
    if not is_new:
        world.reconcile()
    world.taken_ports = {9811}
    world.reboot_agent()
    outcome = world.reconcile()
    assert outcome.result is Result.FAILED
    assert [problem.reason for problem in outcome.problems] == [Reason.METRICS]
    assert world.served
    assert world.routes == {"/": {"hub": True}}
    world.taken_ports = set()
    assert world.reconcile().result is Result.OK


def test_a_full_disk_changes_nothing_and_leaves_no_half_generation(world: World) -> None:
    world.files.fail("write", world.layout.generations, "No space left on device")
    world.edit(BODY)
    outcome = world.reconcile()
    assert (outcome.result, world.generations.current(), world.generations.numbers()) == (
        Result.FAILED,
        1,
        (1,),
    )
    assert "No space left" in str(outcome.failure)
    assert world.reconcile().result is Result.OK


def test_a_rehearsal_touches_nothing_and_saves_the_look_its_work(world: World) -> None:
    world.edit(BODY)
    world.reconciler.rehearse()
    assert world.generations.current() == 1
    assert [call for call in world.units.journal if call[0] == "reload"] == []
    before = list(world.units.journal)
    assert world.reconcile().result is Result.OK
    assert world.generations.current() == 2
    assert [call for call in world.units.journal[len(before) :] if "test@" in call[1]] == []


def test_a_rehearsal_of_other_bytes_is_forgotten(world: World) -> None:
    world.edit(BODY)
    world.reconciler.rehearse()
    world.edit(ADMINS)
    assert world.reconcile().result is Result.OK
    assert (world.generations.numbers(), world.generations.served()) == ((1, 3), (1, 3))
    assert b"ada" in world.current("hub/hub.json")


def test_a_rehearsal_that_fails_leaves_it_to_the_look_to_say_so(world: World) -> None:
    world.units.fail(UnitVerb.START, "hubagent-nginx-test@2.service", JobResult.FAILED, times=2)
    world.edit(BODY)
    world.reconciler.rehearse()
    assert world.generations.numbers() == (1,)
    assert world.reconcile().result is Result.REJECTED


def test_what_was_taken_back_pushes_no_served_generation_out(world: World) -> None:
    world.nginx_loads = False
    for size in range(1, 5):
        world.edit(CONFIG + f"nginx: {{max_body: {size}m}}\n")
        assert world.reconcile().result is Result.ROLLED_BACK
        assert world.reconcile().result is Result.ROLLED_BACK
    world.nginx_loads = True
    world.edit(BODY)
    assert world.reconcile().result is Result.OK
    assert world.generations.served() == (1, world.generations.current())


def test_bytes_that_were_set_aside_are_tried_again_after_another_edit(world: World) -> None:
    world.nginx_loads = False
    world.edit(BODY)
    assert [world.reconcile().result for _ in range(3)] == [
        Result.ROLLED_BACK,
        Result.ROLLED_BACK,
        Result.REJECTED,
    ]
    world.edit(CONFIG)
    assert world.reconcile().result is Result.NOOP
    world.nginx_loads = True
    world.edit(BODY)
    assert world.reconcile().result is Result.OK


@pytest.mark.parametrize("body", [b"", b"[]", b"null", b"{", b"\xff", b"[" * 100_000, b'"x"', b'{"/": 3}'])
def test_an_answer_that_is_no_table_of_routes_is_no_reason_to_stop(world: World, body: bytes) -> None:
    world.probe.serve("http://127.0.0.1:8001/api/routes", body=body)
    assert world.reconcile().result is Result.OK
    assert world.taken == [(Component.PROXY, "resync")]


_TAKEN_BEFORE = [
    "tls: {mode: letsencrypt, email: a@example.org}\n",
    CONFIG + "hub: {traits: {Spawner: {mem_guarantee: 1G, pre_spawn_hook: print()}}}\n",
    CONFIG + "hub: {traits: {JupyterHub: {ssl_cert: 7}, SwarmSpawner: {x_file: [1]}}}\n",
]


@pytest.mark.parametrize("text", _TAKEN_BEFORE)
def test_a_file_in_force_that_an_earlier_hubagent_took_goes_on_serving_and_is_a_problem(text: str) -> None:
    """As after an upgrade of the packages: its servers, its admins, its database are those that count."""
    text += "servers: {big: {memory: 16G}}\n"
    world = World(CONFIG + "servers: {big: {memory: 16G}}\n")
    world.reconcile()
    first = world.generations.desired()
    assert first is not None
    world.edit(text)
    world.generations.stage(dataclasses.replace(first, source=text.encode()), 2)
    world.generations.begin(Switch(1, 2, hashlib.sha256(text.encode()).hexdigest()))
    world.generations.commit()
    world.reboot_agent()
    for _ in range(2):
        outcome = world.reconcile()
        assert outcome.result is Result.REJECTED
        assert outcome.prepared is not None
        assert world.taken in ([], [(Component.METRICS, "reload")])
        assert [server.name for server in outcome.prepared.intent.config.servers] == ["big"]
    declared = Declared(world.generations).config()
    assert declared is not None
    assert [server.name for server in declared.servers] == ["big"]
    status = world.survey.status(outcome)
    assert status.degraded
    assert status.config_errors
    world.edit(BODY)
    assert world.reconcile().result is Result.OK
    world.edit(text)
    assert world.reconcile().result is Result.REJECTED
    assert world.generations.current() == 3
