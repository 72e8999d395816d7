"""The agent among random edits, faults, restarts and jumps of time; its promises hold after every check.

P1 a bad file never changes a running service. P2 generation N or N+1, never a mix. P3 what fails is taken back to the
last good generation. P4 the plan is what is done. P5 a second check has nothing to do. And P8: once the world behaves,
it converges by itself.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from hubagent.converge.generations import Generations
from hubagent.converge.intent import Order, Outcome, Prepared
from hubagent.errors import HubagentError
from hubagent.layout import FIREWALL, HUB, NGINX, PROXY
from hubagent.ports import JobResult, UnitVerb
from hubagent.state.status import Result
from tests.fakes import PowerLost, Survivors
from tests.faults.whole import CHANGING, assert_at_rest, assert_runs_what_is_in_force, in_force
from tests.unit.converge.world import CONFIG, World
from tests.unit.pool.mortal import Killed, Life, Mortal

GOOD = st.builds(
    "".join,
    st.tuples(
        st.just(CONFIG),
        st.sampled_from(["", "nginx: {max_body: 7m}\n", "nginx: {max_body: 9m}\n"]),
        st.sampled_from(["", "hub: {admins: [admin, ada]}\n", "hub: {landing: /tree}\n"]),
        st.sampled_from(["", "servers: {julia: {memory: 1G}}\n", "servers: {julia: {}, python: {}}\n"]),
        st.sampled_from(["", 'metrics: {listen: "127.0.0.1:9999"}\n', "apply: {disruptive: always}\n"]),
    ),
)
BAD = st.sampled_from(
    ["", "hots: x\n", "host: [", "\x00", "nginx: {max_body: -1}\n", CONFIG + CONFIG, "- a\n"]
)
JOBS = st.sampled_from(
    [(UnitVerb.RELOAD, NGINX), (UnitVerb.RESTART, HUB), (UnitVerb.START, HUB), (UnitVerb.START, PROXY)]
)
SERVICES = st.sampled_from([NGINX, HUB, PROXY, FIREWALL])


@dataclass(frozen=True)
class Before:
    """What there was before a check."""

    generation: int | None
    source: bytes | None
    interrupted: bool
    promised: Prepared | None  # what a preview said


class Promises(RuleBasedStateMachine):
    """One machine; `calm` while nothing is wrong with it that the agent could not know of."""

    @initialize(text=GOOD)
    def install(self, text: str) -> None:
        self.world = World(text)
        self.is_good = True  # the file, as it is now
        self.calm = True
        self.is_spoiled = False  # by hand, a file of the generation in force
        self.text = text
        assert self.world.reconcile().result is Result.OK
        self._runs()

    # What people do.

    @rule(text=GOOD)
    def edit_well(self, text: str) -> None:
        self.world.edit(text)
        self.is_good, self.text = True, text

    @rule(text=BAD)
    def edit_badly(self, text: str) -> None:
        self.world.edit(text)
        self.is_good = False

    @rule()
    def delete_the_file(self) -> None:
        self.world.files.remove(self.world.layout.config)
        self.is_good = False

    @rule(name=SERVICES)
    def stop_a_service(self, name: str) -> None:
        self.world.units.heal()
        self.world.units.run(UnitVerb.STOP, name, timeout_s=10)

    @rule(name=SERVICES)
    def restart_a_service(self, name: str) -> None:
        self.world.units.heal()
        self.world.units.run(UnitVerb.RESTART, name, timeout_s=10)

    @rule(name=st.sampled_from(["hub/hub.json", "hub/servers.json", "nginx/hubagent.conf", "manifest.json"]))
    def spoil_a_file(self, name: str) -> None:
        if self.world.generations.current() is not None:
            self.world.files.heal()
            self.world.files.write(self.world.layout.current / name, b"{}", mode=0o600)
            self.is_spoiled = True
            self.world.reboot_agent()

    # What goes wrong.

    @rule(job=JOBS, result=st.sampled_from([JobResult.FAILED, JobResult.CANCELED]), times=st.integers(1, 2))
    def a_job_fails(self, job: tuple[UnitVerb, str], result: JobResult, times: int) -> None:
        self.world.units.fail(*job, result, times=times)
        self.calm = False

    @rule(text=GOOD, job=st.sampled_from([(UnitVerb.RELOAD, NGINX), (UnitVerb.RESTART, HUB)]))
    def a_change_does_not_work(self, text: str, job: tuple[UnitVerb, str]) -> None:
        self.world.units.fail(*job)
        self.calm = False
        self.edit_well(text)
        self.reconcile(leave=False)

    @rule(job=JOBS, is_carried_out=st.booleans())
    def a_job_is_lost(self, job: tuple[UnitVerb, str], *, is_carried_out: bool) -> None:
        self.world.units.lose(*job, is_carried_out=is_carried_out)
        self.calm = False

    @rule(job=JOBS)
    def a_job_hangs(self, job: tuple[UnitVerb, str]) -> None:
        self.world.units.hang(*job)
        self.calm = False

    @rule(call=st.sampled_from(["write", "link", "make_dir", "remove"]), times=st.integers(1, 3))
    def the_disk_fails(self, call: str, times: int) -> None:
        self.world.files.fail(call, self.world.layout.state, "No space left on device", times=times)
        self.calm = False

    @rule()
    def nginx_keeps_what_it_has(self) -> None:
        self.world.nginx_loads = False
        self.calm = False

    @rule(is_up=st.booleans())
    def the_bus(self, *, is_up: bool) -> None:
        (self.world.units.reconnect if is_up else self.world.units.disconnect)()
        self.calm = self.calm and is_up

    @rule(is_up=st.booleans())
    def docker(self, *, is_up: bool) -> None:
        (self.world.engine.start if is_up else self.world.engine.stop)()

    @rule(seconds=st.sampled_from([-86400.0, -1.0, 1.0, 3600.0, 86400.0, 86400.0 * 400]))
    def the_clock_jumps(self, seconds: float) -> None:
        self.world.clock.step_wall_clock(seconds)

    @rule(seconds=st.sampled_from([1.0, 100.0, 86400.0]))
    def time_passes(self, seconds: float) -> None:
        self.world.clock.advance(seconds)

    @rule()
    def the_agent_restarts(self) -> None:
        self.world.reboot_agent()

    @rule(steps=st.integers(0, 200), survivors=st.sampled_from(Survivors))
    def the_power_fails_during_a_look(self, steps: int, survivors: Survivors) -> None:
        self.world.units.heal()
        self.world.files.heal()
        self.world.files.cut_power_after(steps)
        with contextlib.suppress(PowerLost):
            self.world.reconcile()
        self.world.lose_power(survivors)
        self.world.reboot_agent()
        self._whole()

    @rule(calls=st.integers(0, 150))
    def the_agent_is_killed_during_a_look(self, calls: int) -> None:
        life = Life(calls)
        self.world.through = lambda port: Mortal(port, life)
        self.world.reboot_agent()
        with contextlib.suppress(Killed):
            self.world.reconcile()
        self.world.through = lambda port: port
        self.world.reboot_agent()
        self._whole()

    # What the agent does.

    @rule()
    def rehearse(self) -> None:
        before = self._before()
        verbs = self._changes()
        self.world.reconciler.rehearse()
        assert (self._generation(), self._changes()) == (before.generation, verbs)

    @rule(leave=st.booleans())
    def reconcile(self, *, leave: bool) -> None:
        before = self._before()
        self._judge(before, self.world.reconcile(allow_disruption=leave), is_plain=not leave)

    @rule()
    def apply_by_hand(self) -> None:
        before = self._before()
        self._judge(before, self.world.reconcile(retry=True), is_plain=False)

    @precondition(lambda self: len(self.world.generations.served()) > 1)
    @rule(data=st.data())
    def roll_back(self, data: st.DataObject) -> None:
        wanted = data.draw(st.sampled_from(self.world.generations.served()))
        before = self._before()
        outcome = self.world.reconcile(rollback_to=wanted)
        assert outcome.result in (Result.OK, Result.NOOP, Result.FAILED, Result.REJECTED, Result.ROLLED_BACK)
        if outcome.result is Result.ROLLED_BACK:
            self._went_back(before)

    @rule()
    def the_world_behaves_again(self) -> None:
        """P8: by itself, within a few checks, it is where the file says; or stays where it was for a bad one."""
        self.world.units.heal()
        self.world.files.heal()
        self.world.engine.start()
        self.world.nginx_loads = True
        self.calm = True
        for _ in range(4):
            self.world.reconcile(retry=True, allow_disruption=True)
        self._whole()
        if self.is_spoiled and not self.is_good:
            return  # neither the file nor the generation can be used, and what runs is better left alone
        assert_runs_what_is_in_force(self.world)
        assert_at_rest(self.world, Result.NOOP, Result.REJECTED)
        if self.is_good:
            assert self._source() == self.text.encode()

    # Judging.

    def _before(self) -> Before:
        interrupted = self.world.generations.interrupted() is not None
        try:
            promised = self.world.reconciler.preview(Order())
        except HubagentError:
            promised = None
        return Before(self._generation(), self._source(), interrupted, promised)

    def _judge(self, before: Before, outcome: Outcome, *, is_plain: bool) -> None:
        self._whole()
        if not self.is_good and not before.interrupted:  # P1
            assert outcome.result in (Result.REJECTED, Result.FAILED)
            assert self._source() == before.source
        if outcome.result is Result.ROLLED_BACK:
            self._went_back(before)
        if outcome.result is not Result.OK:
            return
        if is_plain and not before.interrupted and before.promised is not None:  # P4
            steps = before.promised.plan.steps
            assert self.world.taken == [(step.component, step.verb.value) for step in steps]
        if self.calm and not self.world.survey.status(outcome).pending:
            self._runs()
            if self.is_good:
                assert self._source() == self.text.encode()
            assert_at_rest(self.world, Result.NOOP, Result.REJECTED)  # P5

    def _went_back(self, before: Before) -> None:
        """P3: what served before serves again, and was seen to."""
        self._runs()
        if not before.interrupted:
            assert self._generation() == before.generation
            assert self._source() == before.source
        assert self.world.generations.interrupted() is None

    def _whole(self) -> None:
        """P2: what is in force is so with every byte, but for those that somebody spoiled."""
        found = Generations(self.world.files, self.world.layout).in_force()
        if found is not None and found.damaged and self.is_spoiled:
            return
        self.is_spoiled = False
        in_force(self.world)

    def _runs(self) -> None:
        assert_runs_what_is_in_force(self.world)

    def _generation(self) -> int | None:
        return self.world.generations.current()

    def _source(self) -> bytes | None:
        state = self.world.files.read(self.world.layout.current / "hubagent.yaml", max_bytes=2**20)
        return state.content if state else None

    def _changes(self) -> list[tuple[str, str]]:
        return [call for call in self.world.units.verbs() if call[0] in CHANGING and "test@" not in call[1]]


Promises.TestCase.settings = settings(
    max_examples=60,
    stateful_step_count=25,
    deadline=None,
    derandomize=True,  # what fails here shall fail for everybody
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


class TestPromises(Promises.TestCase):
    """Collected by pytest under this name."""
