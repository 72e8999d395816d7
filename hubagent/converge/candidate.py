"""A candidate generation: written, tested by the real programs in their own sandboxes, and forgotten when not wanted.

All of it before anything is touched, and possibly ahead of time.
"""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import Final

from hubagent.converge.complaint import first_error, secrets_in
from hubagent.converge.generations import Generations
from hubagent.converge.intent import Prepared
from hubagent.converge.ports import Ports
from hubagent.converge.retry import Allowance
from hubagent.errors import (
    DeadlineError,
    HubagentError,
    JobDeadlineError,
    PreflightError,
    StorageError,
    TemporaryError,
    UnitError,
)
from hubagent.layout import HUB_TEST, NGINX_TEST
from hubagent.limits import EDIT_NEEDS_BYTES
from hubagent.ports import ActiveState, JobResult, UnitVerb
from hubagent.render.generation import (
    HUB_FILE,
    HUB_SECRETS_FILE,
    NGINX_FILE,
    NGINX_MAIN_FILE,
    Desired,
    ManagedFile,
)
from hubagent.state.model import Component, Verb
from hubagent.state.status import Problem, Reason

_HUB_RESTART: Final = (Component.HUB, Verb.RESTART)

_STOP_S = 30.0
_NOT_BY_ITSELF = ("signal", "core-dump", "oom-kill", "watchdog", "resources")
"""Results of a unit that say nothing about what its program was asked (systemd.exec(5), $SERVICE_RESULT)."""


@dataclass(frozen=True, slots=True)
class _Ready:
    """On disk and tested, never in force."""

    number: int
    digest: str


class Candidates:
    """At most one candidate is kept ready, in the moments in which more edits are waited for."""

    def __init__(self, generations: Generations, preflight: Preflight) -> None:
        self._generations = generations
        self._preflight = preflight
        self._ready: _Ready | None = None

    def number_for(self, wished: Desired) -> int:
        """The number that this generation has, or would get."""
        if self._ready is not None and self._ready.digest == wished.digest:
            return self._ready.number
        return self._generations.next_number()

    def prepare(self, wished: Desired, number: int, previous: Desired | None, *, first: bool) -> None:
        """Write generation `number` and test it, unless that has been done for these very bytes.

        PreflightError when it would not work, TemporaryError when the machine does not let it be tried;
        with either, nothing of it stays on disk.
        """
        if self._ready is not None and self._ready.digest == wished.digest:
            return
        self.forget()
        self._preflight.disk()
        try:
            self._generations.stage(wished, number)
            if first:
                self._generations.show(number)  # the tests look through `current`
            self._preflight.candidate(number, wished, previous)
        except HubagentError:
            with contextlib.suppress(TemporaryError):  # a full disk, most likely: leave no half generation
                if first:
                    self._generations.show(None)
                self._generations.discard(number)
            raise
        self._ready = _Ready(number, wished.digest)

    def fitting(self, prepared: Prepared) -> Prepared:
        """Less the restart of a hub for nothing but another package, if that one would not work: the one that runs is
        then better. The problem says why. Other settings are tested with their own generation."""
        wished, observed = prepared.intent.desired, prepared.observed
        steps = [step for step in prepared.plan.steps if (step.component, step.verb) == _HUB_RESTART]
        if not steps or wished is None or observed.generation is None:
            return prepared
        if observed.loaded.get(Component.HUB) != wished.markers[Component.HUB]:
            return prepared
        try:
            self._preflight.programs(observed.generation)
        except (PreflightError, DeadlineError) as error:
            is_late = isinstance(error, DeadlineError)
            kept = tuple(step for step in prepared.plan.steps if step not in steps)
            reason = Reason.BUSY if is_late else Reason.PREFLIGHT
            problem = Problem(Component.HUB, reason, f"{error}; the running hub is left alone")
            return dataclasses.replace(
                prepared,
                intent=dataclasses.replace(prepared.intent, retry=prepared.intent.retry or is_late),
                plan=dataclasses.replace(prepared.plan, steps=kept),
                problems=(*prepared.problems, problem),
            )
        return prepared

    def taken(self) -> None:
        """The candidate is in force now, or was: it is not ours to remove any more."""
        self._ready = None

    def forget(self) -> None:
        """Remove a candidate that nobody wants."""
        if self._ready is not None:
            self._generations.discard(self._ready.number)
            self._ready = None


@dataclass(frozen=True, slots=True)
class _Test:
    """A program asked by a unit of its own; that unit's own time limit is longer than any that is set here."""

    unit: str
    log: str  # in Layout.run
    of: str  # what is tested, in words
    allowance: Allowance


class Preflight:
    """Checks of a staged generation. PreflightError says what is wrong with it, as the program itself put it. A test
    that took too long (DeadlineError), or was ended by others (UnitError), says nothing about it."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._nginx = _Test(
            NGINX_TEST, "nginx-test.log", "nginx's configuration", Allowance(20.0, most_s=160.0)
        )
        self._hub = _Test(HUB_TEST, "hub-test.log", "JupyterHub's settings", Allowance(40.0, most_s=320.0))

    def disk(self) -> None:
        """Room for another generation, before it is written."""
        free = self._ports.files.free_bytes(self._ports.layout.state)
        if free < EDIT_NEEDS_BYTES:
            raise PreflightError(
                f"{self._ports.layout.state}: only {free // 1024**2} MiB free on this disk; "
                f"hubagent changes nothing below {EDIT_NEEDS_BYTES // 1024**2} MiB, make room"
            )

    def candidate(self, number: int, desired: Desired, previous: Desired | None) -> None:
        """Test what differs from the previous generation, as generation `number` on disk."""
        if _differ(desired, previous, NGINX_FILE, NGINX_MAIN_FILE):
            self._run(self._nginx, number, "nginx refuses the rendered configuration")
        if _differ(desired, previous, HUB_FILE):
            secrets = secrets_in(desired.file(HUB_SECRETS_FILE).content)
            self._run(self._hub, number, "JupyterHub refuses the settings", secrets)

    def programs(self, number: int) -> None:
        """Test whether the hub that is installed now would work with generation `number`, which is in force."""
        self._run(self._hub, number, "the installed JupyterHub would not work")

    def _run(self, test: _Test, number: int, refusal: str, secrets: tuple[str, ...] = ()) -> None:
        unit, clock = test.unit.format(number), self._ports.clock
        # One is still under way when the agent was ended in the middle of it.
        if self._ports.units.unit(unit).active is ActiveState.ACTIVATING:
            self._end(unit)
        begun_s = clock.monotonic()
        try:
            result = self._ports.units.run(UnitVerb.START, unit, timeout_s=test.allowance.allowed_s)
        except JobDeadlineError as error:
            self._end(unit)
            too_long = f"the test of {test.of} took {test.allowance.ran_out('longer than')}"
            raise DeadlineError(too_long) from error
        if result is JobResult.DONE:
            test.allowance.met(clock.monotonic() - begun_s)
            return
        ended = self._how_it_ended(unit)
        if ended == "timeout":  # by the unit's own limit
            raise DeadlineError(f"the test of {test.of} took {test.allowance.ran_out('longer than')}")
        if result is not JobResult.FAILED or ended in _NOT_BY_ITSELF:
            how = ended if result is JobResult.FAILED else result.value
            raise UnitError(f"the test of {test.of} did not finish ({how}); see journalctl -u {unit} -n 50")
        words = first_error(self._log(test.log), secrets)
        raise PreflightError(f"{refusal}: {words or f'{unit} ended with {result.value}'}")

    def _end(self, unit: str) -> None:
        """So that it burns no processor, and answers no other question than it was asked. systemd ends it in the end,
        whatever happens here; one that was ended counts as failed."""
        with contextlib.suppress(UnitError):
            self._ports.units.run(UnitVerb.STOP, unit, timeout_s=_STOP_S)
            self._ports.units.reset_failed(unit)

    def _how_it_ended(self, unit: str) -> str:
        """systemd's Result of a unit that failed, which is not kept any longer."""
        ended = self._ports.units.unit(unit).result
        with contextlib.suppress(UnitError):
            self._ports.units.reset_failed(unit)
        return ended

    def _log(self, name: str) -> tuple[str, ...]:
        try:
            state = self._ports.files.read(self._ports.layout.run / name, max_bytes=65536)
        except StorageError:
            return ()
        return tuple(state.content.decode(errors="replace").splitlines()) if state else ()


def _differ(desired: Desired, previous: Desired | None, *paths: str) -> bool:
    if previous is None:
        return True
    return any(_file(desired, path) != _file(previous, path) for path in paths)


def _file(desired: Desired, path: str) -> ManagedFile | None:
    return next((file for file in desired.files if str(file.path) == path), None)
