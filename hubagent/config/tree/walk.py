"""The state of one reading of the tree: where we are, what was found wrong so far."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field

from hubagent.config.tree.nodes import Node, Place, Text
from hubagent.config.tree.refusal import MAX_FAULTS, RefusedError, shown

Path = tuple[str | int, ...]
"""Keys and list positions from the root, as written in the file."""


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
