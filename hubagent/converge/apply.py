"""Taking the steps of a plan, one by one, each judged before the next."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from hubagent.converge.observe import UNITS
from hubagent.converge.tools import Tools
from hubagent.converge.verify import Verifier
from hubagent.errors import HubagentError, TemporaryError, UnitError, VerifyError
from hubagent.layout import DOCKER, HUB_PORT
from hubagent.ports import ActiveState, JobResult, UnitVerb
from hubagent.state import hub_files
from hubagent.state.desired import HUB_SECRETS_FILE, Desired
from hubagent.state.model import Component, Plan, Step, Verb

# Seconds; longer than the units' own, so that systemd's verdict comes first.
_JOB_S = {Component.HUB: 95.0}
_DEFAULT_JOB_S = 30.0
_RESYNC_S = 10.0
_UNIT_VERBS = {Verb.START: UnitVerb.START, Verb.RELOAD: UnitVerb.RELOAD, Verb.RESTART: UnitVerb.RESTART}

StepListener = Callable[[Step, bool], None]
JobListener = Callable[[str, UnitVerb, JobResult], None]


class Applier:
    """Executes; knows nothing of what comes before or after a plan."""

    def __init__(
        self,
        tools: Tools,
        verifier: Verifier,
        *,
        move_metrics: Callable[[Desired], None],
        on_step: StepListener,
        on_job: JobListener,
    ) -> None:
        self._tools = tools
        self._verifier = verifier
        self._move_metrics = move_metrics
        self._on_step = on_step
        self._on_job = on_job

    def apply(self, plan: Plan, desired: Desired, statics: Mapping[str, bytes]) -> None:
        """Take every step and verify it; the first that fails ends it. VerifyError when the machine does not
        do what was asked, PreflightError when the metrics' address is taken, TemporaryError when the machine
        does not answer."""
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
                self._tools.files.write(Path(path), content, mode=0o644)

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
            return self._unit(step)
        return JobResult.DONE

    def _verify(self, step: Step, desired: Desired, result: JobResult) -> None:
        try:
            self._verifier.after(step, desired)
        except VerifyError as error:
            if result is not JobResult.LOST:
                raise
            # The bytes are not to blame for what systemd, or the way to it, did in the meantime.
            raise UnitError(f"{error}; systemd did not say how the {step.verb.value} ended") from error

    def _unit(self, step: Step) -> JobResult:
        """How the job ended: DONE, or LOST, of which the verification tells more."""
        name = DOCKER if step.component is Component.DOCKER else UNITS[step.component]
        if self._tools.units.unit(name).active is ActiveState.FAILED:
            self._tools.units.reset_failed(name)
        timeout_s = _JOB_S.get(step.component, _DEFAULT_JOB_S)
        verb = _UNIT_VERBS[step.verb]
        result = self._tools.units.run(verb, name, timeout_s=timeout_s)
        self._on_job(name, verb, result)
        if result not in (JobResult.DONE, JobResult.LOST):
            raise VerifyError(
                f"{name}: {step.verb.value} ended with '{result.value}'; see journalctl -u {name} -n 50"
            )
        return result

    def _resync(self, desired: Desired) -> None:
        """Ask the hub to put its routes back now (POST /hub/api/proxy), not at its next check."""
        deadline = self._tools.clock.monotonic() + _RESYNC_S
        while True:
            try:
                answer = self._tools.probe.request(
                    f"http://{desired.gateway}:{HUB_PORT}/hub/api/proxy",
                    method="POST",
                    headers={
                        "Authorization": f"token {hub_files.agent_token(desired.file(HUB_SECRETS_FILE).content)}"
                    },
                    timeout_s=_RESYNC_S,
                )
                if answer.status == 200:
                    return
                why = f"the hub answered {answer.status} to POST /hub/api/proxy"
            except TemporaryError as error:
                why = str(error)
            if self._tools.clock.monotonic() >= deadline:
                raise VerifyError(f"the proxy's routes could not be restored: {why}")
            self._tools.clock.sleep(0.1)
