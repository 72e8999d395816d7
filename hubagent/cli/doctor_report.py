"""What `hubagent doctor` prints: its findings as text for people and as JSON for programs."""

from __future__ import annotations

from hubagent.cli.terminal import Painter
from hubagent.converge.doctor import Finding
from hubagent.text import clean


def doctor_text(findings: tuple[Finding, ...], *, colour: bool) -> str:
    """For a person: a line for each check, the remedy below it."""
    paint = Painter(colour=colour)
    lines = []
    for finding in findings:
        mark = paint.green("ok  ") if finding.ok else paint.red("FAIL")
        lines.append(f"{mark}  {clean(finding.check)}: {clean(finding.found)}")
        if finding.remedy:
            lines.append(f"      do: {clean(finding.remedy)}")
    return "\n".join(lines)


def doctor_json(findings: tuple[Finding, ...]) -> list[dict[str, object]]:
    """For programs: the same, as a list."""
    return [{"check": one.check, "ok": one.ok, "found": one.found, "remedy": one.remedy} for one in findings]
