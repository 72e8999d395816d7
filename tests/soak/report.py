"""The report of a soak, as a page with tables and a picture. Pure."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from typing import Final

from tests.soak.bars import PARTS, QUANTITIES, Bar, Seen, judge, median, part
from tests.soak.events import FAULTS, Kind
from tests.soak.samples import AGENT, HOMES, OTHERS

_UNITS: Final = (AGENT, HOMES, *OTHERS)


def page(seen: Seen) -> str:
    """Markdown."""
    bars = judge(seen)
    lines = [
        "# Soak",
        "",
        f"Debian {seen.suite}, {seen.seconds:.0f} s, {len(seen.done)} events in {len(seen.calms)} rounds; the same order "
        f"again: `make soak SOAK_SEED={seen.seed} SOAK_S={seen.seconds:.0f}`",
        "",
        f"**{'All bars are met' if all(bar.met for bar in bars) else 'A bar is missed'}.** ![over time](plot.svg)",
        "",
        *_table(("", "bar", "at most", "found"), [_bar(bar) for bar in bars]),
        "",
        "## Events",
        "",
        *_table(
            ("event", "times", "failed", "median, s", "longest, s"), [_kind(seen, kind) for kind in Kind]
        ),
        "",
        f"Until everything was at rest after a round, s: {_seconds([calm.took_s for calm in seen.calms])}. "
        f"The background user asked {seen.asked} times; the longest answer took {seen.longest_answer_s:.2f} s.",
        "",
        "## Failures",
        "",
        *_failures(seen),
        "",
        "## Held",
        "",
        f"Medians of {len(seen.samples)} samples, by thirds of the soak. The agent and the homes helper are killed in the "
        "first third alone.",
        "",
        *_table(("unit", "what", "1st", "2nd", "3rd"), _held(seen)),
        "",
        "The agent's threads, by their names in the kernel.",
        "",
        *_table(("name", "median", "most"), _threads(seen)),
    ]
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    cells = [head, ["---"] * len(head), *rows]
    return [
        "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in row) + " |" for row in cells
    ]


def _bar(bar: Bar) -> tuple[str, ...]:
    return ("met" if bar.met else "MISSED", bar.what, bar.limit, bar.found)


def _kind(seen: Seen, kind: Kind) -> tuple[str, ...]:
    done = [one for one in seen.done if one.kind is kind]
    took = [one.took_s for one in done if not one.problem]
    return (
        kind.value,
        str(len(done)),
        str(sum(bool(one.problem) for one in done)),
        f"{statistics.median(took):.1f}" if took else "",
        f"{max(took):.1f}" if took else "",
    )


def _seconds(values: Sequence[float]) -> str:
    if not values:
        return "no round"
    return f"median {statistics.median(values):.1f}, longest {max(values):.1f}"


def _failures(seen: Seen) -> list[str]:
    found = [(one.at_s, f"request: {one.what}") for one in seen.failures]
    found += [(one.at_s, f"{one.kind.value}: {one.problem}") for one in seen.done if one.problem]
    found += [(one.at_s, f"rest after a round: {one.problem}") for one in seen.calms if one.problem]
    before = {at_s: _last_fault(seen, at_s) for at_s, _ in found}
    rows = [(f"{at_s:.1f}", what[:400], before[at_s]) for at_s, what in sorted(found)]
    return _table(("at, s", "what", "the last fault before it"), rows) if rows else ["None."]


def _last_fault(seen: Seen, at_s: float) -> str:
    disturbing = FAULTS | {Kind.EDIT_HUB}
    earlier = [one for one in seen.done if one.kind in disturbing and one.at_s <= at_s]
    if not earlier:
        return ""
    last = max(earlier, key=lambda one: one.at_s)
    return f"{last.kind.value}, {at_s - last.at_s:.1f} s earlier"


def _held(seen: Seen) -> list[tuple[str, ...]]:
    def shown(value: float | None) -> str:
        return "" if value is None else f"{value:.1f}"

    return [
        (
            unit,
            quantity,
            *(shown(median(part(seen.samples, number), unit, quantity)) for number in range(PARTS)),
        )
        for unit in _UNITS
        for quantity in QUANTITIES
    ]


def _threads(seen: Seen) -> list[tuple[str, ...]]:
    """The agent's by name: how many there are mostly, and at most."""
    counts = [sample.held[AGENT].names for sample in seen.samples if AGENT in sample.held]
    names = sorted({name for count in counts for name in count})
    found = [(name, [count.get(name, 0) for count in counts]) for name in names]
    return [(name, f"{statistics.median(values):g}", str(max(values))) for name, values in found]
