"""Text for a terminal: colours on request, widths in columns, no value that steers the terminal."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from hubagent.ladder import Level

_RESET: Final = "\x1b[0m"


class Painter:
    """Wraps text in ANSI colours, or leaves it alone."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def bold(self, text: str) -> str:
        return self._wrap("1", text)

    def dim(self, text: str) -> str:
        return self._wrap("2", text)

    def red(self, text: str) -> str:
        return self._wrap("31", text)

    def green(self, text: str) -> str:
        return self._wrap("32", text)

    def yellow(self, text: str) -> str:
        return self._wrap("33", text)

    def level(self, text: str, level: Level) -> str:
        """Red where websockets drop, yellow where logins pause, plain below."""
        if level.drops_websockets:
            return self.red(text)
        return self.yellow(text) if level is Level.HUB_RESTART else text

    def _wrap(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}{_RESET}" if self._colour and text else text


def columns(text: str) -> int:
    """How many columns a cleaned text takes."""
    return sum(_columns_of(char) for char in text)


def _columns_of(char: str) -> int:
    if unicodedata.combining(char):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1


def shorten(text: str, width: int) -> str:
    """At most `width` columns, with an ellipsis where something is left out."""
    if columns(text) <= width:
        return text
    kept: list[str] = []
    used = 0
    for char in text:
        used += _columns_of(char)
        if used > width - 1:
            break
        kept.append(char)
    return "".join(kept) + "…" if width > 0 else ""


def pad(text: str, width: int) -> str:
    return text + " " * max(0, width - columns(text))


def wrap(text: str, width: int, *, indent: str = "") -> list[str]:
    """Fill lines of at most `width` columns at spaces, each after `indent`. A word that is longer than a line
    gets a line of its own, whole: it may be a path to copy."""
    lines: list[str] = []
    line = ""
    for word in text.split():
        longer = f"{line} {word}" if line else word
        if line and columns(indent + longer) > width:
            lines.append(indent + line)
            longer = word
        line = longer
    return [*lines, indent + line]


def table(rows: Sequence[Sequence[str]]) -> list[list[str]]:
    """The rows with every cell but the last of a row padded to its column's width."""
    widths = [max(columns(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        [*(pad(cell, width) for cell, width in zip(row[:-1], widths[:-1], strict=True)), row[-1]]
        for row in rows
    ]
