"""Taking the steps of a plan, one by one, each judged before the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hubagent.converge.observe import UNITS
from hubagent.converge.ports import Ports
from hubagent.converge.retry import Allowance
from hubagent.converge.verify import Verifier
from hubagent.errors import (
    DeadlineError,
    HubagentError,
    JobDeadlineError,
    TemporaryError,
    UnitError,
    VerifyError,
)
from hubagent.layout import DOCKER, HUB_PORT
from hubagent.ports import ActiveState, JobResult, UnitVerb
from hubagent.render import hub_files
from hubagent.render.generation import HUB_SECRETS_FILE, Desired
from hubagent.state.model import Component, Plan, Step, Verb

# Seconds; longer than the units' own, so that systemd's verdict comes first.
_JOB_S = {Component.HUB: 95.0}
_DEFAULT_JOB_S = 30.0
_MOST_JOB_S = 380.0
_RESYNC_S = 10.0
_MOST_RESYNC_S = 80.0
_UNIT_VERBS = {Verb.START: UnitVerb.START, Verb.RELOAD: UnitVerb.RELOAD, Verb.RESTART: UnitVerb.RESTART}

StepListener = Callable[[Step, bool], None]
JobListener = Callable[[str, UnitVerb, JobResult], None]


class Applier:
    """Executes; knows nothing of what comes before or after a plan."""

    def __init__(
        self,
        ports: Ports,
        verifier: Verifier,
        *,
        move_metrics: Callable[[Desired], None],
        on_step: StepListener,
        on_job: JobListener,
    ) -> None:
        self._ports = ports
        self._verifier = verifier
        self._move_metrics = move_metrics
        self._on_step = on_step
        self._on_job = on_job
        self._jobs = {
            component: Allowance(_JOB_S.get(component, _DEFAULT_JOB_S), most_s=_MOST_JOB_S)
            for component in Component
        }
        self._resyncs = Allowance(_RESYNC_S, most_s=_MOST_RESYNC_S)

    def apply(self, plan: Plan, desired: Desired, statics: Mapping[str, bytes]) -> None:
        """Take every step and verify it; the first that fails ends it. VerifyError when the machine does not
        do what was asked, PreflightError when the metrics' address is taken, TemporaryError when the machine
        does not answer, and DeadlineError among those when something took longer than it may."""
        self._write(plan, statics)
        for step in plan.steps:
            self._step(step, desired)

    def repair(self, plan: Plan, desired: Desired, statics: Mapping[str, bytes]) -> tuple[HubagentError, ...]:
        """Take every step although some fail: what can run shall run. Returns what went wrong."""
        self._write(plan, statics)
        errors = []
        for step in plan.steps:
            try:
                self._step(step, desired)
            except HubagentError as error:
                errors.append(error)
        return tuple(errors)

    def _write(self, plan: Plan, statics: Mapping[str, bytes]) -> None:
        if any(step.verb is Verb.WRITE for step in plan.steps):
            for path, content in statics.items():
                self._ports.files.write(Path(path), content, mode=0o644)

    def _step(self, step: Step, desired: Desired) -> None:
        try:
            result = self._take(step, desired)
            self._verify(step, desired, result)
        except HubagentError:
            self._on_step(step, False)  # noqa: FBT003
            raise
        self._on_step(step, True)  # noqa: FBT003

    def _take(self, step: Step, desired: Desired) -> JobResult:
        if step.verb in (Verb.NONE, Verb.WRITE):
            return JobResult.DONE
        if step.component is Component.METRICS:
            self._move_metrics(desired)
        elif step.verb is Verb.RESYNC:
            self._resync(desired)
        else:
            return self._unit(step, desired)
        return JobResult.DONE

    def _verify(self, step: Step, desired: Desired, result: JobResult) -> None:
        try:
            self._verifier.after(step, desired)
        except VerifyError as error:
            if result is not JobResult.LOST:
                raise
            # The bytes are not to blame for what systemd, or the way to it, did in the meantime.
            raise UnitError(f"{error}; systemd did not say how the {step.verb.value} ended") from error

    def _unit(self, step: Step, desired: Desired) -> JobResult:
        """How the job ended: DONE, or LOST, of which the verification tells more."""
        name = DOCKER if step.component is Component.DOCKER else UNITS[step.component]
        if self._ports.units.unit(name).active is ActiveState.FAILED:
            self._ports.units.reset_failed(name)
        verb, allowance = _UNIT_VERBS[step.verb], self._jobs[step.component]
        begun_s = self._ports.clock.monotonic()
        try:
            result = self._ports.units.run(verb, name, timeout_s=allowance.allowed_s)
        except JobDeadlineError as error:
            raise DeadlineError(f"{name}: {verb.value} not finished {allowance.ran_out()}") from error
        self._on_job(name, verb, result)
        if result in (JobResult.DONE, JobResult.LOST):
            allowance.met(self._ports.clock.monotonic() - begun_s)
            return result
        state = self._ports.units.unit(name).result
        if result is JobResult.TIMEOUT or state == "timeout":
            raise DeadlineError(f"{name}: {verb.value} ended with 'timeout', as happens on a busy machine")
        ending = f"{name}: {step.verb.value} ended with '{result.value}'"
        if state == "oom-kill":
            raise UnitError(f"{ending}: the kernel killed it because memory ran out")
        taken = self._verifier.taken(step.component, desired)
        complaint = taken or self._verifier.complaint(
            step.component,
            desired,
            since_s=self._ports.clock.time() - (self._ports.clock.monotonic() - begun_s),
        )
        raise VerifyError(f"{ending}: {complaint}")

    def _resync(self, desired: Desired) -> None:
        """Ask the hub to put its routes back now (POST /hub/api/proxy), not at its next check."""
        begun_s = self._ports.clock.monotonic()
        deadline = begun_s + self._resyncs.allowed_s
        while True:
            is_silent = False
            try:
                answer = self._ports.probe.request(
                    f"http://{desired.gateway}:{HUB_PORT}/hub/api/proxy",
                    method="POST",
                    headers={
                        "Authorization": f"token {hub_files.agent_token(desired.file(HUB_SECRETS_FILE).content)}"
                    },
                    timeout_s=_RESYNC_S,
                )
                if answer.status == 200:
                    self._resyncs.met(self._ports.clock.monotonic() - begun_s)
                    return
                why = f"the hub answered {answer.status} to POST /hub/api/proxy"
            except TemporaryError as error:
                why, is_silent = str(error), True
            if self._ports.clock.monotonic() >= deadline:
                if is_silent:
                    too_long = f"the proxy's routes could not be restored {self._resyncs.ran_out()} ({why})"
                    raise DeadlineError(too_long)
                raise VerifyError(f"the proxy's routes could not be restored: {why}")
            self._ports.clock.sleep(0.1)
