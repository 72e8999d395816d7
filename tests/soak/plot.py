"""A soak over time, as SVG: memory, descriptors and threads, slots and homes. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from typing import Final

from tests.soak.bars import QUANTITIES, Seen
from tests.soak.events import FAULTS
from tests.soak.samples import AGENT, HOMES, Sample

_WIDTH: Final = 900
_HEIGHT: Final = 170
"""Of one panel."""
_LEFT: Final = 50
_RIGHT: Final = 150
_GAP: Final = 42
_COLOURS: Final = ("#1f77b4", "#d62728", "#2ca02c", "#9467bd")


@dataclass(frozen=True, slots=True)
class _Line:
    name: str
    value: Callable[[Sample], float | None]
    """None where there is none: the line is broken."""


def picture(seen: Seen) -> str:
    """SVG. Grey lines across are the faults: kills and restarts."""
    panels = (
        ("private memory, MB", [_of(unit, "private memory, MB") for unit in (AGENT, HOMES)]),
        (
            "descriptors and threads",
            [_of(AGENT, "connections"), _of(AGENT, "threads"), _of(AGENT, "other descriptors")],
        ),
        (
            "slots",
            [
                _Line("slots that wait", lambda sample: sample.ready),
                _Line("mounts of homes", lambda sample: sample.attached),
            ],
        ),
    )
    end_s = max([seen.seconds, *(sample.at_s for sample in seen.samples)])
    faults = [one.at_s for one in seen.done if one.kind in FAULTS]
    height = len(panels) * (_HEIGHT + _GAP) + 10
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{_WIDTH}" height="{height}" '
        f'viewBox="0 0 {_WIDTH} {height}" font-family="sans-serif" font-size="11">',
        f'<rect width="{_WIDTH}" height="{height}" fill="white"/>',
    ]
    for number, (title, lines) in enumerate(panels):
        parts += _panel(title, lines, seen.samples, faults, end_s, 20 + number * (_HEIGHT + _GAP))
    return "\n".join([*parts, "</svg>"]) + "\n"


def _of(unit: str, quantity: str) -> _Line:
    value = QUANTITIES[quantity]
    return _Line(
        f"{unit}, {quantity.partition(',')[0]}",
        lambda sample: value(sample.held[unit]) if unit in sample.held else None,
    )


def _panel(
    title: str,
    lines: Sequence[_Line],
    samples: Sequence[Sample],
    faults: Sequence[float],
    end_s: float,
    top: float,
) -> list[str]:
    found = [value for line in lines for sample in samples if (value := line.value(sample)) is not None]
    most = max([1.0, *found]) * 1.05
    right, bottom = _WIDTH - _RIGHT, top + _HEIGHT

    def x(at_s: float) -> float:
        return _LEFT + (right - _LEFT) * at_s / end_s

    def y(value: float) -> float:
        return bottom - _HEIGHT * value / most

    parts = [f'<text x="{_LEFT}" y="{top - 6}" font-weight="bold">{escape(title)}</text>']
    parts += [
        f'<line x1="{x(at_s):.1f}" x2="{x(at_s):.1f}" y1="{top}" y2="{bottom}" stroke="#dddddd"/>'
        for at_s in faults
    ]
    parts += [
        f'<line x1="{_LEFT}" x2="{right}" y1="{bottom}" y2="{bottom}" stroke="black"/>',
        f'<line x1="{_LEFT}" x2="{_LEFT}" y1="{top}" y2="{bottom}" stroke="black"/>',
        f'<text x="{_LEFT - 6}" y="{bottom}" text-anchor="end">0</text>',
        f'<text x="{_LEFT - 6}" y="{top + 8}" text-anchor="end">{most:.0f}</text>',
        f'<text x="{right}" y="{bottom + 14}" text-anchor="end">{end_s:.0f} s</text>',
    ]
    for number, line in enumerate(lines):
        colour = _COLOURS[number]
        for points in _unbroken(line, samples):
            drawn = " ".join(f"{x(at_s):.1f},{y(value):.1f}" for at_s, value in points)
            parts.append(f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="1.5"/>')
        parts.append(
            f'<text x="{right + 8}" y="{top + 14 + 16 * number}" fill="{colour}">{escape(line.name)}</text>'
        )
    return parts


def _unbroken(line: _Line, samples: Sequence[Sample]) -> list[list[tuple[float, float]]]:
    runs: list[list[tuple[float, float]]] = [[]]
    for sample in samples:
        value = line.value(sample)
        if value is None:
            runs.append([])
        else:
            runs[-1].append((sample.at_s, value))
    return [run for run in runs if run]
