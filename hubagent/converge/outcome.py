"""The values of one check: what was ordered, what was found out, how it ended."""

from __future__ import annotations

from dataclasses import dataclass

from hubagent.converge.intent import Intent
from hubagent.state.model import Observed, Plan
from hubagent.state.status import Problem, Result


@dataclass(frozen=True, slots=True)
class Order:
    """What a person asked for beyond "check again"."""

    allow_disruption: bool = False
    rollback_to: int | None = None
    retry: bool = False  # try again what is in quarantine
    new_tokens: bool = False  # between agent, hub and proxy; only with allow_disruption


@dataclass(frozen=True, slots=True)
class Prepared:
    """Everything a check knows before it touches anything; `hubagent plan` prints this."""

    intent: Intent
    observed: Observed
    plan: Plan
    statics: dict[str, bytes]
    problems: tuple[Problem, ...]
    refused: str = ""  # why the order is not carried out, apart from the file

    @property
    def errors(self) -> tuple[str, ...]:
        """Why the file on disk is not used, and why the order is not carried out."""
        return (*self.intent.errors, self.refused) if self.refused else self.intent.errors


@dataclass(frozen=True, slots=True)
class Outcome:
    """How one check ended."""

    result: Result
    prepared: Prepared | None = None
    problems: tuple[Problem, ...] = ()
    failure: str | None = None
    candidate: int | None = None
    retry: bool = False
    intent: Intent | None = None  # of a check that got no further
