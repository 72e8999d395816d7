"""The tree that a file becomes: nodes with their places, how a value is refused, the state of one reading. A leaf."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

Plain = str | int | float | bool | None

Path = tuple[str | int, ...]
"""Keys and list positions from the root, as written in the file."""

MAX_FAULTS: Final = 100  # more are not collected: nobody reads them
_SHOWN_CHARACTERS: Final = 60

_SECRET_NAME: Final = re.compile(
    r"(?:secret|password|passwd|token|api_?key|private_?key|credentials?)s?$", re.IGNORECASE
)


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


class UnreadableError(Exception):
    """This part gives no value; its faults are reported already."""


class TooManyFaultsError(Exception):
    """Enough is known to be wrong; reading on helps nobody."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One message with its place in the file and the key it is about."""

    place: Place
    path: Path
    message: str


@dataclass(slots=True)
class Walk:
    """Collects faults, and the places of all keys read, for rules that look at several keys."""

    advice: Callable[[Path], str | None]  # what to say of an unknown key that has a home elsewhere
    in_force: bool = False  # what an earlier hubagent took is read, too
    faults: list[Fault] = field(default_factory=list)
    places: dict[Path, Place] = field(default_factory=dict)

    def report(self, place: Place, path: Path, message: str) -> None:
        self.faults.append(Fault(place, path, message))
        if len(self.faults) >= MAX_FAULTS:
            raise TooManyFaultsError


@dataclass(frozen=True, slots=True)
class At:
    """A path within one walk."""

    walk: Walk
    path: Path = ()

    def child(self, key: str | int) -> At:
        return At(self.walk, (*self.path, key))

    def report(self, place: Place, message: str) -> None:
        self.walk.report(place, self.path, message)

    def report_all(self, place: Place, error: RefusedError | UnreadableError) -> None:
        """Report a refused value; an unreadable one has been reported where it is."""
        if isinstance(error, RefusedError):
            self.report(place, str(error))

    def passed(self, key: Place, node: Node) -> None:
        """Remember where this key is: its value when that is on one line, else the key."""
        self.walk.places[self.path] = node.place if isinstance(node, Text) else key


def spell(path: Path) -> str:
    """The path for people: servers.julia.mounts[0].from; strange keys are quoted."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            word = part if re.fullmatch(r"[\w{}@+/-]{1,60}", part) else shown(part)
            text += f".{word}" if text else word
    return text


class RefusedError(ValueError):
    """A value outside its grammar. The text reads "what is wrong; what to do", without the place."""


def shown(text: str) -> str:
    """The value for a message: quoted, on one line, control characters escaped, shortened."""
    if len(text) > _SHOWN_CHARACTERS:
        text = text[: _SHOWN_CHARACTERS - 1] + "…"
    quoted = json.dumps(text, ensure_ascii=False)
    return "".join(c if c.isprintable() else f"\\u{ord(c):04x}" for c in quoted)


def closest(word: str, known: Iterable[str]) -> str | None:
    """The known word that was probably meant, if any."""
    found = difflib.get_close_matches(word[:_SHOWN_CHARACTERS], list(known), n=1, cutoff=0.6)
    return found[0] if found else None


def names_secret(name: str) -> bool:
    """Whether a value under this name is a secret: client_secret, GITHUB_TOKEN; not client_secret_file."""
    return bool(_SECRET_NAME.search(name))
