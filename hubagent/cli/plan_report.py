"""A Plan in words: what `hubagent plan` prints, as text for people and as JSON for programs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from hubagent.cli.terminal import Painter
from hubagent.config.made.changes import Change
from hubagent.ladder import Level
from hubagent.state.model import Plan, Step
from hubagent.state.status import Problem
from hubagent.text import clean

FORMAT: Final = 1

_MOVES: Final = (
    "{new} gets all of the hub's data (accounts, passwords, tokens, groups, running servers), copied from {old} "
    "while the hub restarts and compared row by row; {old} keeps what it has. If {new} holds other people's accounts, "
    "the edit is refused"
)
_WORTH_KNOWING: Final[Mapping[str, str]] = {"hub.database": _MOVES}
"""What a change of a key does beyond its steps; `{old}` and `{new}` are its values."""

HOW_TO_PERMIT: Final = (
    "To apply this now: hubagent apply --allow-disruption. "
    "Or set apply.disruptive: window, and it is applied in apply.window."
)


def plan_text(plan: Plan, colour: bool) -> str:  # noqa: FBT001
    """For a terminal; ends with a newline."""
    paint = Painter(colour=colour)
    lines = [paint.bold(headline(plan))]
    if plan.steps:
        lines.append(_notice("Users notice", plan.level))
    if plan.changes:
        lines += ["", "Changed keys:", *_changes(plan.changes, paint)]
    for key, words in notes(plan).items():
        lines += ["", f"{clean(key)}: {clean(words)}."]
    if plan.steps:
        lines += ["", "Steps:", *_steps(plan.steps, paint)]
    if plan.pending:
        worst = max(step.level for step in plan.pending)
        lines += ["", paint.yellow("Waiting for your permission:"), *_steps(plan.pending, paint)]
        lines += [_notice("Users would notice", worst), HOW_TO_PERMIT]
    return "\n".join(lines) + "\n"


def _notice(begins: str, level: Level) -> str:
    return f"{begins} (level {level.value}, {level.title}): {level.notice}."


def preview_text(plan: Plan, problems: Sequence[Problem], *, colour: bool) -> str:
    """For a terminal: the plan, and what keeps the file from being planned or tried. Ends with a newline."""
    if not problems:
        return plan_text(plan, colour=colour)
    shown = "" if plan.is_empty and not plan.pending else plan_text(plan, colour=colour) + "\n"
    paint = Painter(colour=colour)
    return shown + "".join(f"{paint.yellow('Problem')}: {clean(problem.message)}\n" for problem in problems)


def notes(plan: Plan) -> dict[str, str]:
    """What a person should know of a change before it is made, by key."""
    return {
        change.key: _WORTH_KNOWING[change.key].format(old=change.old, new=change.new)
        for change in plan.changes
        if change.key in _WORTH_KNOWING
    }


def headline(plan: Plan) -> str:
    """The plan in one sentence."""
    if plan.is_empty and not plan.pending:
        return "Nothing to do: everything is as the file says."
    steps = _counted(len(plan.steps), "step")
    waiting = f", {_counted(len(plan.pending), 'step')} waiting for your permission" if plan.pending else ""
    if plan.generation is not None:
        return f"Generation {plan.generation}: {steps}{waiting}."
    return f"The files stay as they are: {steps}{waiting}."


def plan_json(plan: Plan) -> dict[str, Any]:
    """Stable within `format`. A step's `level` is its number, 0 (nothing) to 5 (nginx restart)."""
    return {
        "format": FORMAT,
        "empty": plan.is_empty,
        "generation": plan.generation,
        "level": plan.level.value,
        "notice": plan.level.notice,
        "changes": [{"key": change.key, "old": change.old, "new": change.new} for change in plan.changes],
        "notes": notes(plan),
        "steps": [_step_json(step) for step in plan.steps],
        "pending": [_step_json(step) for step in plan.pending],
    }


def _step_json(step: Step) -> dict[str, Any]:
    return {
        "component": step.component.value,
        "verb": step.verb.value,
        "level": step.level.value,
        "notice": step.level.notice,
        "reason": step.reason,
    }


def _changes(changes: tuple[Change, ...], paint: Painter) -> list[str]:
    return [
        f"  {clean(change.key)}: {paint.red(clean(change.old))} → {paint.green(clean(change.new))}"
        for change in changes
    ]


def _steps(steps: tuple[Step, ...], paint: Painter) -> list[str]:
    names = [f"{step.component.value} {step.verb.value}" for step in steps]
    width = max(len(name) for name in names)
    return [
        f"  {number}. {paint.level(name.ljust(width), step.level)}  {clean(step.reason)}"
        for number, (name, step) in enumerate(zip(names, steps, strict=True), start=1)
    ]


def _counted(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"
