"""The tree that a document becomes: nodes with their places, and what plain scalars stand for. A leaf."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import Final

Plain = str | int | float | bool | None


@dataclass(frozen=True, slots=True, order=True)
class Place:
    """A position in the file, both from 1; columns count characters."""

    line: int
    column: int


_WORDS: Final[dict[str, bool | None]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INT: Final = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,18})")
_FLOAT: Final = re.compile(
    r"[-+]?(?:\.[0-9]{1,30}|(?:0|[1-9][0-9]{0,30})(?:\.[0-9]{0,30})?)(?:[eE][-+]?[0-9]{1,4})?"
)


def resolve(text: str) -> Plain:
    """What a plain scalar stands for; numbers with leading zeros, infinities, other spellings stay text."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(number := float(text)):
        return number
    return text


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar; `plain` when it stood without quotes and so may be a number, a boolean or nothing."""

    place: Place
    text: str
    plain: bool

    @property
    def value(self) -> Plain:
        return resolve(self.text) if self.plain else self.text


@dataclass(frozen=True, slots=True)
class Items:
    place: Place
    items: tuple[Node, ...]


@dataclass(frozen=True, slots=True)
class Entries:
    place: Place
    entries: tuple[tuple[Text, Node], ...]


Node = Text | Items | Entries
