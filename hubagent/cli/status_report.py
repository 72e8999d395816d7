"""What `hubagent status` prints: a Status as text for a terminal. Pure.

The other reports are at hand here too: `to_json`/`from_json` (status_json.py), `plan_text`/`plan_json`
(plan_report.py).
"""

from __future__ import annotations

from collections.abc import Iterator

from hubagent.cli.plan_report import HOW_TO_PERMIT, plan_json, plan_text
from hubagent.cli.terminal import Painter, shorten, table, wrap
from hubagent.state import words
from hubagent.state.status import ComponentStatus, ImageState, ImageStatus, PoolStatus, Status
from hubagent.state.status_json import from_json, to_json
from hubagent.text import clean

__all__ = ["from_json", "plan_json", "plan_text", "status_text", "to_json"]

_NARROWEST = 40

_IMAGE_MARKS = {ImageState.FAILED: "✗", ImageState.PRESENT: "✓"}


def status_text(status: Status, *, now_s: float, width: int = 80, colour: bool = False) -> str:
    """For a terminal of `width` columns; `now_s` is unix time. Ends with a newline."""
    width = max(width, _NARROWEST)
    paint = Painter(colour=colour)
    blocks = (
        _heading(status, now_s, width, paint),
        _components(status, width, paint),
        _images(status, now_s, width, paint),
        _pools(status, now_s, width, paint),
        _facts(status, now_s, width),
        _problems(status, width, paint),
        _refused(status, width, paint),
        _pending(status, width, paint),
        _failure(status, now_s, width, paint),
    )
    return "\n\n".join("\n".join(lines) for lines in map(list, blocks) if lines) + "\n"


def _heading(status: Status, now_s: float, width: int, paint: Painter) -> Iterator[str]:
    sentence = words.headline(status)
    if status.degraded:
        yield paint.bold(paint.red("● degraded"))
    elif status.generation is None:
        yield paint.bold(paint.yellow("● starting"))
        sentence = "No generation is in force yet."
    else:
        yield paint.bold(paint.green("● serving"))
    yield from wrap(sentence, width, indent="  ")
    if status.url:
        yield f"  {clean(status.url)}"
    generation = "none" if status.generation is None else str(status.generation)
    facts = (
        f"generation {generation}, {words.checked(status, now_s)}, "
        f"hubagent {clean(status.version)} (pid {status.pid})"
    )
    yield from wrap(facts, width, indent="  ")


def _components(status: Status, width: int, paint: Painter) -> Iterator[str]:
    if not status.components:
        return
    header = ("", "COMPONENT", "STATE", "RESTARTS", "DETAIL")
    rows = table([header, *(_component_row(component) for component in status.components)])
    for number, row in enumerate(rows):
        line = shorten("  ".join(row).rstrip(), width)
        if number == 0:
            yield paint.dim(line)
            continue
        healthy = status.components[number - 1].healthy
        yield (paint.green if healthy else paint.red)(line[0]) + line[1:]


def _component_row(component: ComponentStatus) -> tuple[str, ...]:
    detail = component.detail or component.unit or ""
    restarts = str(component.restarts) if component.unit else "-"
    mark = "✓" if component.healthy else "✗"
    return mark, component.component.value, clean(component.state), restarts, clean(detail)


def _pools(status: Status, now_s: float, width: int, paint: Painter) -> Iterator[str]:
    if not status.pools:
        return
    header = ("", "WARM", "READY", "IN USE", "MEMORY", "DETAIL")
    rows = table([header, *(_pool_row(pool, now_s) for pool in status.pools)])
    for number, row in enumerate(rows):
        line = shorten("  ".join(row).rstrip(), width)
        if number == 0:
            yield paint.dim(line)
            continue
        bad = status.pools[number - 1].is_in_trouble
        yield (paint.red if bad else paint.green)(line[0]) + line[1:]


def _images(status: Status, now_s: float, width: int, paint: Painter) -> Iterator[str]:
    """Those that are not simply there, and serve all that they can."""
    images = [image for image in status.images if image.state is not ImageState.PRESENT or image.slow_pages]
    if not images:
        return
    header = ("", "IMAGE OF", "STATE", "DETAIL")
    rows = table([header, *(_image_row(image, now_s) for image in images)])
    for number, row in enumerate(rows):
        line = shorten("  ".join(row).rstrip(), width)
        if number == 0:
            yield paint.dim(line)
            continue
        tone = words.image_tone(images[number - 1])
        colour = {"bad": paint.red, "warn": paint.yellow, "good": paint.green}[tone]
        yield colour(line[0]) + line[1:]


def _image_row(image: ImageStatus, now_s: float) -> tuple[str, ...]:
    mark = _IMAGE_MARKS.get(image.state, "…")
    state, detail = words.image_state(image), words.image_detail(image, now_s)
    return mark, clean(image.server), clean(state), clean(detail)


def _pool_row(pool: PoolStatus, now_s: float) -> tuple[str, ...]:
    memory = "-" if pool.memory_bytes is None else words.size(pool.memory_bytes)
    mark = "✗" if pool.is_in_trouble else "✓"
    detail = clean(words.pool_detail(pool, now_s))
    return mark, clean(pool.server), words.pool_ready(pool), str(pool.claimed + pool.claiming), memory, detail


def _facts(status: Status, now_s: float, width: int) -> Iterator[str]:
    figures = status.figures
    facts = [("servers", words.servers(status))]
    if figures.hub_users is not None:
        active = (
            f", {figures.hub_active_users} of them in 24 h" if figures.hub_active_users is not None else ""
        )
        facts.append(("users", f"{figures.hub_users}{active}"))
    mean_s = words.spawn_mean_s(status)
    if mean_s is not None:
        failures = f", {figures.hub_spawn_failures} failed" if figures.hub_spawn_failures else ""
        facts.append(("starts", f"{figures.hub_spawn_count} in {mean_s:.2f} s each{failures}"))
    if status.certificate is not None:
        names = ", ".join(status.certificate.names)
        facts.append(("certificate", f"{words.certificate(status, now_s)} ({names})"))
    if status.disk_free_bytes is not None:
        facts.append(("disk", f"{words.size(status.disk_free_bytes)} free"))
    if status.time_zone:
        facts.append(("time zone", status.time_zone))
    for name, text in facts:
        yield shorten(f"{name:<12} {clean(text)}", width)


def _problems(status: Status, width: int, paint: Painter) -> Iterator[str]:
    problems = words.problems_to_tell(status)
    if not problems:
        return
    yield paint.bold("Problems")
    for problem in problems:
        component = problem.component.value if problem.component else "hubagent"
        first, *rest = _bullet(f"{component} ({problem.reason.value}): {problem.message}", width)
        yield paint.red(first[:3]) + first[3:]
        yield from rest


def _refused(status: Status, width: int, paint: Painter) -> Iterator[str]:
    if not status.config_errors:
        return
    yield paint.bold("The configuration file was refused")
    for message in status.config_errors:
        yield from _bullet(message, width)


def _pending(status: Status, width: int, paint: Painter) -> Iterator[str]:
    if not (status.pending or status.pending_changes):
        return
    yield paint.bold(paint.yellow("Waiting for your permission"))
    for change in status.pending_changes:
        yield from _bullet(f"{change.key}: {change.old} → {change.new}", width)
    for step in status.pending:
        yield from _bullet(f"{step.component.value} {step.verb.value}: {step.reason}", width)
    yield from wrap(HOW_TO_PERMIT, width, indent="  ")


def _failure(status: Status, now_s: float, width: int, paint: Painter) -> Iterator[str]:
    if status.last_failure is None:
        return
    when = f", {words.ago(status.last_failure_at_s, now_s)}" if status.last_failure_at_s is not None else ""
    yield paint.bold(f"Last failure{when}")
    for line in status.last_failure.splitlines():
        yield from wrap(clean(line), width, indent="  ")


def _bullet(text: str, width: int) -> list[str]:
    first, *rest = wrap(clean(text), width, indent="    ")
    return [f"  - {first[4:]}", *rest]
