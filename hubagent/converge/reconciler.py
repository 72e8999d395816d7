"""One check: what is wished, what is, the plan, and the switch with its way back.

Level-triggered: every check starts from the file and the machine as they are, whatever caused it, so
nothing depends on having seen an event, and starting up is recovery.
"""

from __future__ import annotations

import contextlib
import dataclasses
import logging

from hubagent.config.model import Drift
from hubagent.converge import surroundings
from hubagent.converge.apply import Applier
from hubagent.converge.candidate import Candidates
from hubagent.converge.generations import Generations, Switch
from hubagent.converge.intent import Intent, Intents, Order, Outcome, Prepared
from hubagent.converge.observe import Observer
from hubagent.converge.plan import Policy, drift, may_disrupt, noteworthy, plan, refusal
from hubagent.converge.ports import Ports, Recorder
from hubagent.converge.problems import reason_of, unable
from hubagent.converge.retry import Held, Postponed, Quarantine, Recovery
from hubagent.errors import DeadlineError, HubagentError, PreflightError, VerifyError
from hubagent.ladder import Level
from hubagent.render.generation import Desired
from hubagent.state.model import Observed, Plan
from hubagent.state.status import Problem, Reason, Result

log = logging.getLogger(__name__)


class Reconciler:
    """Brings the machine to what the file says, or back."""

    def __init__(
        self,
        ports: Ports,
        *,
        generations: Generations,
        quarantine: Quarantine,
        observer: Observer,
        candidates: Candidates,
        applier: Applier,
        recorder: Recorder,
    ) -> None:
        self._ports = ports
        self._generations = generations
        self._quarantine = quarantine
        self._observer = observer
        self._candidates = candidates
        self._applier = applier
        self._recorder = recorder
        self._postponed = Postponed(ports.clock)
        self._intents = Intents(ports, generations, quarantine, self._postponed)
        self._recovery = Recovery(generations, quarantine, ports.clock)
        self._failed_once: str | None = None  # digest of a candidate that was taken back
        self._told: tuple[str, ...] = ()  # what was wrong with the file when that was last logged

    def preview(self, order: Order) -> Prepared:
        """What `reconcile` would do now. TemporaryError when the machine does not answer."""
        return self._prepare(self._intent(order), order)

    def _intent(self, order: Order) -> Intent:
        if order.rollback_to is not None:
            return self._intents.earlier(order.rollback_to)
        return self._intents.today(new_tokens=order.new_tokens and order.allow_disruption)

    def _prepare(self, intent: Intent, order: Order) -> Prepared:
        engine = self._observer.docker.ask()
        statics = self._intents.statics(engine)
        observed = self._observer.observe(statics=statics, engine=engine)
        refused = refusal(order, observed)
        if intent.desired is None or refused:
            masked = (Problem(None, Reason.MASKED, refused),) if refused else ()
            nothing = Plan(None, ())
            return Prepared(intent, observed, nothing, statics, (*intent.problems, *masked), refused)
        policy = Policy(
            drift=intent.config.apply.drift,
            allow_disruption=self._recovery.has_permission
            or may_disrupt(intent.config, order, self._ports.clock.time()),
        )
        found = plan(
            intent.desired,
            observed,
            policy,
            next_generation=self._candidates.number_for(intent.desired),
            statics=statics,
            changes=intent.changes,
            news=intent.news,
        )
        problems = (
            *intent.problems,
            *self._seen(intent, observed, statics),
            *surroundings.problems(self._ports, self._observer.docker, engine, intent.config),
        )
        return Prepared(intent, observed, found, statics, problems)

    def rehearse(self) -> None:
        """Do ahead what touches nothing in force: render, write and test the generation that today's file
        asks for. A check that follows finds this done; one that finds other bytes does it again.

        Meant for the moments in which more edits are waited for. Says nothing: the check will.
        """
        with contextlib.suppress(HubagentError):
            prepared = self.preview(Order())
            wished, origin = prepared.intent.desired, prepared.observed.generation
            number = prepared.plan.generation
            if wished is not None and number is not None and origin is not None:
                self._candidates.prepare(wished, number, self._generations.load(origin), first=False)

    def reconcile(self, order: Order) -> Outcome:
        """Observe once and act on it. Never raises for what the world does; the Outcome says what happened."""
        intent: Intent | None = None
        try:
            self._generations.prepare()
            self._recovery.recover()
            if order.retry:
                self._quarantine.release()
                self._postponed.release()
            intent = self._intent(order)
            self._tell(intent)
            prepared = self._candidates.fitting(self._prepare(intent, order))
            if prepared.intent.source_sha256 is not None and order.rollback_to is None:
                self._quarantine.release_unless(prepared.intent.source_sha256)
            if prepared.plan.is_empty:
                self._recovery.settle()
        except HubagentError as error:
            return self._unable(error, intent, order)
        if prepared.intent.desired is None or prepared.plan.is_empty:
            return Outcome(_of_the_file(prepared), prepared, prepared.problems, retry=prepared.intent.retry)
        try:
            ended = self._carry_out(prepared, order)
            if ended.result in (Result.OK, Result.ROLLED_BACK):
                self._recovery.settle()
        except HubagentError as error:
            return dataclasses.replace(self._unable(error, intent, order), prepared=prepared)
        if ended.result is Result.OK and _of_the_file(prepared) is not Result.NOOP:
            return dataclasses.replace(ended, result=_of_the_file(prepared))
        return ended

    def broken_off(self) -> None:
        """To be called when a check was left on purpose: that counts as no failure of the file. Never raises for what
        the world does."""
        with contextlib.suppress(HubagentError):
            self._recovery.uncount()

    def _carry_out(self, prepared: Prepared, order: Order) -> Outcome:
        wished, number = prepared.intent.desired, prepared.plan.generation
        assert wished is not None
        if number is None:
            return self._repair(prepared, wished)
        origin = prepared.observed.generation
        previous = self._generations.whole(origin)
        switch = self._recovery.switch(origin, number, wished.source_sha256, prepared.plan)
        try:
            self._candidates.prepare(wished, number, previous, first=origin is None)
        except PreflightError as error:
            return self._refuse(prepared, number, error)
        except DeadlineError as error:
            self._postponed.put(wished.digest, str(error))
            raise
        self._generations.begin(switch)
        self._candidates.taken()
        if previous is None:
            # Nothing to go back to, or damaged: what can run shall run, and the next checks repair the rest.
            self._generations.commit()
            return self._repair(prepared, wished)
        try:
            self._applier.apply(prepared.plan, wished, prepared.statics)
        except HubagentError as error:
            return self._take_back(prepared, switch, previous, error)
        self._generations.commit()
        self._postponed.release()
        if order.rollback_to is not None:
            self._hold_todays_file(f"rolled back by hand to generation {order.rollback_to}")
        else:
            self._quarantine.release()
        log.info("generation %d is in force: %s", number, _words(prepared.plan))
        return Outcome(Result.OK, prepared, prepared.problems)

    def _repair(self, prepared: Prepared, wished: Desired) -> Outcome:
        """The wished generation is in force, the machine is not as it says."""
        errors = self._applier.repair(prepared.plan, wished, prepared.statics)
        if not errors:
            return Outcome(Result.OK, prepared, prepared.problems, retry=prepared.intent.retry)
        problems = tuple(
            Problem(
                None, Reason.METRICS if isinstance(error, PreflightError) else reason_of(error), str(error)
            )
            for error in errors
        )
        self._observer.in_vain(prepared.observed)
        failure = "; ".join(str(error) for error in errors)
        return Outcome(Result.FAILED, prepared, (*prepared.problems, *problems), failure, retry=True)

    def _refuse(self, prepared: Prepared, number: int, error: PreflightError) -> Outcome:
        problem = Problem(None, Reason.PREFLIGHT, str(error))
        log.error("generation %d refused, nothing was changed: %s", number, error)
        problems = (*prepared.problems, problem)
        return Outcome(Result.REJECTED, prepared, problems, str(error), candidate=number, retry=True)

    def _take_back(
        self, prepared: Prepared, switch: Switch, previous: Desired, cause: HubagentError
    ) -> Outcome:
        """Return to the origin and see it serve again; hold the bytes if they are to blame."""
        log.error("generation %d does not work, going back: %s", switch.target, cause)
        blame = self._is_to_blame(prepared, cause)
        reason = str(cause)
        self._generations.abort(switch, reason)
        assert prepared.intent.desired is not None
        if blame:
            held = Held(
                switch.source_sha256, prepared.intent.desired.digest, reason, self._ports.clock.time()
            )
            self._quarantine.hold(held)
        elif isinstance(cause, DeadlineError):
            self._postponed.put(prepared.intent.desired.digest, reason)
        try:
            engine = self._observer.docker.ask()
            observed = self._observer.observe(statics=prepared.statics, engine=engine)
            back = plan(
                previous,
                dataclasses.replace(observed, outdated={}),  # new programs wait for a permission of their own
                Policy(drift=Drift.FIX, allow_disruption=True),
                next_generation=0,
                statics=prepared.statics,
            )
            self._applier.apply(back, previous, prepared.statics)
        except HubagentError as error:
            reason = f"{reason}; in addition, going back to generation {switch.origin}: {error}"
            problem = Problem(None, reason_of(cause), reason)
            return Outcome(
                Result.FAILED, prepared, (*prepared.problems, problem), reason, switch.target, retry=True
            )
        self._generations.commit()
        for component in {step.component for step in prepared.plan.steps}:
            self._recorder.rollback(component)
        problem = Problem(
            None,
            reason_of(cause),
            f"generation {switch.target} was rolled back, {switch.origin} serves: {reason}",
        )
        return Outcome(
            Result.ROLLED_BACK,
            prepared,
            (*prepared.problems, problem),
            reason,
            candidate=switch.target,
            retry=not blame,
        )

    def _is_to_blame(self, prepared: Prepared, cause: HubagentError) -> bool:
        """Whether these bytes shall not be tried again. A machine that did not answer says nothing about
        them, and a mere reload may fail once for reasons of its own, so that is tried a second time."""
        assert prepared.intent.desired is not None
        first = self._failed_once != prepared.intent.desired.digest
        if isinstance(cause, (VerifyError, PreflightError, DeadlineError)):
            self._failed_once = prepared.intent.desired.digest
        if not isinstance(cause, (VerifyError, PreflightError)):
            return False
        is_mild = isinstance(cause, VerifyError) and prepared.plan.level <= Level.NGINX_RELOAD
        return not (first and is_mild)

    def _hold_todays_file(self, reason: str) -> None:
        today = self._intents.today()
        if today.source_sha256 is not None:
            self._quarantine.hold(Held(today.source_sha256, None, reason, self._ports.clock.time()))

    def _seen(self, intent: Intent, observed: Observed, statics: dict[str, bytes]) -> tuple[Problem, ...]:
        assert intent.desired is not None
        by_hand = drift(intent.desired, observed, statics)
        for component in by_hand:
            self._recorder.drift(component)
        return noteworthy(intent.config, observed, by_hand)

    def _tell(self, intent: Intent) -> None:
        """Log what is wrong with the file, once."""
        for message in intent.errors if intent.errors != self._told else ():
            log.error("refused: %s", message)
        self._told = intent.errors

    def _unable(self, error: HubagentError, intent: Intent | None, order: Order) -> Outcome:
        log.error("%s", error)
        return unable(error, intent if order.rollback_to is None else None, self._ports.layout.config)


def _of_the_file(prepared: Prepared) -> Result:
    """What is to be said where nothing was done about the file itself."""
    if prepared.errors:
        return Result.REJECTED
    return Result.FAILED if prepared.intent.postponed else Result.NOOP


def _words(steps: Plan) -> str:
    return ", ".join(f"{step.component.value} {step.verb.value}" for step in steps.steps)
