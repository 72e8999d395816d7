"""A candidate generation: written and tested, possibly ahead of time, and forgotten when it is not wanted."""

from __future__ import annotations

import contextlib
import dataclasses
from dataclasses import dataclass
from typing import Final

from hubagent.converge.generations import Generations
from hubagent.converge.outcome import Prepared
from hubagent.converge.preflight import Preflight
from hubagent.errors import DeadlineError, HubagentError, PreflightError, TemporaryError
from hubagent.render.generation import Desired
from hubagent.state.model import Component, Verb
from hubagent.state.status import Problem, Reason

_HUB_RESTART: Final = (Component.HUB, Verb.RESTART)


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
