"""What the YAML parser's complaints mean for the person who edits the file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

import yaml

from hubagent.config.tree import Place


@dataclass(frozen=True, slots=True)
class _Hint:
    """What to say when the parser's problem contains these words; `opened` names where it began."""

    words: str
    hint: str
    opened: bool = False


_HINTS: Final = (
    _Hint(
        "mapping values are not allowed",
        "a second ': ' on this line, or a wrong indentation; put the value in quotes or fix the indentation",
    ),
    _Hint(
        "could not find expected ':'",
        "this line has no ':' after its key, or a quote or bracket above is not closed; complete it",
    ),
    _Hint(
        "did not find expected key",
        "this line does not fit what is above it; check the indentation, quotes and brackets",
    ),
    _Hint(
        "unexpected end of stream",
        "the file ends inside a quoted text; close the quote, and check that the file is complete",
        opened=True,
    ),
    _Hint(
        "did not find expected ',' or",
        "a [ or { is not closed, or a comma is missing; complete it",
        opened=True,
    ),
    _Hint("did not find expected node content", "a value is missing here; write it, or close the bracket"),
    _Hint(
        "expected '-' indicator", "a key where the list goes on; start the line with - or fix the indentation"
    ),
    _Hint("block sequence entries", "a list cannot start here; put it on a line of its own, or in [ ]"),
    _Hint(
        "<document start>",
        "the file does not go on as it began; write all keys at the left edge as key: value",
    ),
    _Hint("cannot start any token", "this character needs quotes here; put the value in quotes"),
    _Hint(
        "unknown escape character", "this \\ means nothing in double quotes; write \\\\ or use single quotes"
    ),
    _Hint("escape", "a \\ escape that is not complete; write it out, or use single quotes"),
)


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[Place, str]:
    """The place and the message for a syntax error in this text."""
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    if tab := _tab_in_indentation(text, place.line):
        return tab, "a tab in the indentation; write spaces instead (YAML allows no tabs there)"
    problem = str(error.problem or "cannot be read")
    if "did not find expected ','" in problem and _character(text, place) == ":":
        problem = "mapping values are not allowed"
    for hint in _HINTS:
        if hint.words in problem:
            start = error.context_mark
            opened = f" (it starts on line {start.line + 1})" if hint.opened and start else ""
            return place, hint.hint + opened
    return (
        place,
        f"is not YAML ({problem}); check the indentation, quotes and brackets here and one line above",
    )


def _line(text: str, number: int) -> str:
    lines = re.split(r"\r\n?|\n", text)
    return lines[number - 1] if number <= len(lines) else ""


def _character(text: str, place: Place) -> str:
    return _line(text, place.line)[place.column - 1 : place.column]


def _tab_in_indentation(text: str, line_number: int) -> Place | None:
    """The first tab before the text of this line."""
    line = _line(text, line_number)
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    return Place(line_number, indent.index("\t") + 1) if "\t" in indent else None
