"""What is said of a check that the machine kept from finishing: pure."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hubagent.converge.intent import Intent, Outcome
from hubagent.errors import ContainerError, DeadlineError, HubagentError, StorageError, UnitError
from hubagent.state.status import Problem, Reason, Result

_REASONS: Final = {  # the first that fits
    DeadlineError: Reason.BUSY,
    UnitError: Reason.DBUS,
    ContainerError: Reason.DOCKER,
    StorageError: Reason.DISK,
}


def reason(error: HubagentError) -> Reason:
    """Of an error while a generation was put in force, or repaired."""
    return Reason.BUSY if isinstance(error, DeadlineError) else Reason.VERIFY


def unable(error: HubagentError, intent: Intent | None, path: Path) -> Outcome:
    """`intent` is today's, None where it was not even found out: the file at `path` is judged all the same."""
    why = next((why for kind, why in _REASONS.items() if isinstance(error, kind)), Reason.UNIT)
    problems = (Problem(None, why, str(error)), *(intent.problems if intent else ()))
    if intent is not None and intent.is_new:
        problems += (Problem(None, why, f"{path} is valid, and waits until it can be applied"),)
    return Outcome(Result.FAILED, problems=problems, failure=str(error), retry=True, intent=intent)
