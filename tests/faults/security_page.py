"""The tables of docs/security.md, made from security_items.py: `python -m tests.faults.security_page` writes them there."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.faults.named import ROOT
from tests.faults.page import table
from tests.faults.security_items import CHAPTERS

PAGE: Final = Path(ROOT, "docs/security.md")
BEGIN: Final = "<!-- From here on made by `python -m tests.faults.security_page`; edit tests/faults/security_items.py. -->\n"


def with_tables(page: str) -> str:
    """The page with today's tables at its end. ValueError when it does not say where they begin."""
    before, begin, _ = page.partition(BEGIN)
    if not begin:
        raise ValueError(f"{PAGE} has no line {BEGIN}")
    lines: list[str] = []
    for chapter in CHAPTERS:
        lines += [
            "",
            f"### {chapter.title}",
            "",
            *table(chapter, ("what somebody wants", "what stands against it")),
        ]
    return before + begin + "\n".join(lines) + "\n"


if __name__ == "__main__":
    PAGE.write_text(with_tables(PAGE.read_text()))
