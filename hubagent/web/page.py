"""The status page: a Status as one self-contained HTML document, for a lecturer's glance. Pure.

`view` turns the Status into words and tones; the template (status.html.j2) only places them. The page loads
nothing from anywhere; its policy (`headers`) allows its own style and script by their hashes, and nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import re
from dataclasses import dataclass
from typing import Final

import jinja2
from markupsafe import Markup, escape

from hubagent import limits
from hubagent.config.made.changes import Change
from hubagent.limits import Verdict
from hubagent.state import words
from hubagent.state.model import Step
from hubagent.state.status import ComponentStatus, ImageStatus, PoolStatus, Problem, Status

_CONTROLS: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ufffe\uffff\ud800-\udfff]")


def _visible(text: str) -> str:
    """Characters that HTML does not allow are shown as replaced."""
    return _CONTROLS.sub("\N{REPLACEMENT CHARACTER}", text)


def _code(text: str) -> Markup:
    """Escaped, with what stands between backticks set as code."""
    parts = _visible(text).split("`")
    if len(parts) % 2 == 0:  # an odd number of backticks: they are not pairs
        return escape(_visible(text))
    return Markup("").join(
        Markup("<code>{}</code>").format(part) if number % 2 else escape(part)
        for number, part in enumerate(parts)
    )


def _source(text: str) -> str:
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@dataclass(frozen=True, slots=True)
class ProblemRow:
    component: str
    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class StepRow:
    what: str
    reason: str
    notice: str


@dataclass(frozen=True, slots=True)
class Tile:
    name: str
    value: str
    note: str = ""
    tone: str = ""


@dataclass(frozen=True, slots=True)
class ComponentRow:
    name: str
    state: str
    tone: str
    mark: str
    restarts: str
    detail: str


@dataclass(frozen=True, slots=True)
class ImageRow:
    name: str
    state: str
    tone: str
    detail: str


@dataclass(frozen=True, slots=True)
class PoolRow:
    name: str
    ready: str
    tone: str
    in_use: str
    memory: str
    detail: str


@dataclass(frozen=True, slots=True)
class View:
    """What the page says. Tones are classes of the style: good, warn, bad."""

    title: str
    tone: str
    icon_colour: str
    headline: str
    summary: str
    checked: str = ""
    url: str = ""
    link: str = ""  # the URL where it may be a link
    problems_title: str = ""
    problems: tuple[ProblemRow, ...] = ()
    config_errors: str = ""
    changes: tuple[Change, ...] = ()
    pending: tuple[StepRow, ...] = ()
    tiles: tuple[Tile, ...] = ()
    components: tuple[ComponentRow, ...] = ()
    images: tuple[ImageRow, ...] = ()
    pools: tuple[PoolRow, ...] = ()
    failure: str = ""
    failure_when: str = ""
    steps: tuple[StepRow, ...] = ()
    version: str = ""


@dataclass(frozen=True, slots=True)
class Sources:
    """Texts of the page's template, of its style and its script, read once by the composition root."""

    template: str  # status.html.j2
    style: str  # status.css
    script: str  # status.js


class StatusPage:
    """Renders the page; `headers` are to be sent with it."""

    def __init__(self, sources: Sources) -> None:
        environment = jinja2.Environment(
            autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
        )
        environment.finalize = lambda value: value if isinstance(value, Markup) else _visible(str(value))
        environment.filters["code"] = _code
        # Hubagent's own files: the only texts here that are markup.
        environment.globals |= {"style": Markup(sources.style), "script": Markup(sources.script)}  # noqa: S704
        self._template = environment.from_string(sources.template)
        self.headers: Final = (
            (
                "Content-Security-Policy",
                f"default-src 'none'; style-src {_source(sources.style)}; "
                f"script-src {_source(sources.script)}; connect-src 'self'; img-src data:; "
                "base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
            ),
            ("Referrer-Policy", "no-referrer"),
        )

    def render(self, status: Status | None, *, now_s: float) -> str:
        """`now_s` is unix time. Without a Status (the agent has just started) it says so."""
        return self._template.render(view=view(status, now_s=now_s))


def view(status: Status | None, *, now_s: float) -> View:
    if status is None:
        return View(
            "hubagent: starting",
            "warn",
            _COLOURS["warn"],
            "Starting",
            "The agent has not checked the machine yet.",
        )
    tone, headline = _headline(status)
    generation = "No generation" if status.generation is None else f"Generation {status.generation}"
    problems = words.problems_to_tell(status)
    host = (status.url or "").partition("://")[2].strip("/")
    return View(
        title=f"{headline} · {host}" if host else headline,
        tone=tone,
        icon_colour=_COLOURS[tone],
        headline=headline,
        summary=f"{words.headline(status)} {generation} is in force.",
        checked=words.checked(status, now_s),
        url=status.url or "",
        link=status.url if status.url and re.match("https?://", status.url) else "",
        problems_title=words.counted(len(problems), "problem"),
        problems=tuple(map(_problem, problems)),
        config_errors="\n".join(status.config_errors),
        changes=status.pending_changes,
        pending=tuple(map(_step, status.pending)),
        tiles=_tiles(status, now_s),
        components=tuple(map(_component, status.components)),
        images=tuple(_image(image, now_s) for image in status.images),
        pools=tuple(_pool(pool, now_s) for pool in status.pools),
        failure=status.last_failure or "",
        failure_when=f", {words.ago(status.last_failure_at_s, now_s)}"
        if status.last_failure_at_s is not None
        else "",
        steps=tuple(map(_step, status.steps)),
        version=f"hubagent {status.version}",
    )


_TONES: Final = {Verdict.FINE: "", Verdict.WARNING: "warn", Verdict.CRITICAL: "bad"}
_COLOURS: Final = {"good": "%23189a56", "warn": "%23d98a00", "bad": "%23d5322c"}


def _headline(status: Status) -> tuple[str, str]:
    if status.generation is None:
        return ("bad", "Not up yet") if status.degraded else ("warn", "Starting")
    down = [component.component.value for component in status.components if not component.healthy]
    if down:
        return "bad", f"Down: {', '.join(down)}"
    if status.degraded:
        return "warn", "Up, but needs attention"
    return "good", "Up and running"


def _problem(problem: Problem) -> ProblemRow:
    component = problem.component.value if problem.component else "hubagent"
    return ProblemRow(component, problem.reason.value, problem.message)


def _step(step: Step) -> StepRow:
    return StepRow(f"{step.component.value} {step.verb.value}", step.reason, step.level.notice)


def _component(component: ComponentStatus) -> ComponentRow:
    return ComponentRow(
        name=component.component.value,
        state=component.state,
        tone="good" if component.healthy else "bad",
        mark="✓" if component.healthy else "✗",
        restarts=str(component.restarts) if component.unit else "",
        detail=component.detail or component.unit or "",
    )


def _image(image: ImageStatus, now_s: float) -> ImageRow:
    return ImageRow(
        name=image.server,
        state=words.image_state(image),
        tone=words.image_tone(image),
        detail=words.image_detail(image, now_s),
    )


def _pool(pool: PoolStatus, now_s: float) -> PoolRow:
    return PoolRow(
        name=pool.server,
        ready=words.pool_ready(pool),
        tone="bad" if pool.is_in_trouble else "good" if pool.ready >= pool.desired else "warn",
        in_use=str(pool.claimed + pool.claiming),
        memory="" if pool.memory_bytes is None else words.size(pool.memory_bytes),
        detail=words.pool_detail(pool, now_s),
    )


def _tiles(status: Status, now_s: float) -> tuple[Tile, ...]:
    figures = status.figures
    stale = sum(server.stale for server in status.servers)
    note = (
        f"{stale} from before the last change" if stale else "all as the file says" if status.servers else ""
    )
    tiles = [Tile("Running servers", str(len(status.servers)), note)]
    if figures.hub_users is not None:
        active = f"{figures.hub_active_users} active in 24 h" if figures.hub_active_users is not None else ""
        tiles.append(Tile("Users", str(figures.hub_users), active))
    mean_s = words.spawn_mean_s(status)
    if mean_s is not None:
        failed = f", {figures.hub_spawn_failures} failed" if figures.hub_spawn_failures else ""
        tiles.append(Tile("Server start", f"{mean_s:.2f} s", f"mean of {figures.hub_spawn_count}{failed}"))
    if status.certificate is not None:
        left_s = status.certificate.not_after_s - now_s
        tone = _TONES[limits.certificate_left_s(status.certificate.lifetime_s).verdict(left_s)]
        names = ", ".join(status.certificate.names)
        kind = f"self-signed: {names}" if status.certificate.self_signed else names
        if status.certificate.renewal is not None:
            kind = f"{kind}; {words.renewal(status.certificate.renewal, now_s)}"
        value = "expired" if left_s < 0 else words.duration(left_s)
        tiles.append(Tile("Certificate", value, kind, tone))
    if status.disk_free_bytes is not None:
        tone = _TONES[limits.DISK_FREE_BYTES.verdict(status.disk_free_bytes)]
        tiles.append(Tile("Free disk", words.size(status.disk_free_bytes), tone=tone))
    return tuple(tiles)
