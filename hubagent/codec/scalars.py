"""The values that hold no others, and how what is none of them is refused."""

from __future__ import annotations

import enum
import math
import re
import types
from collections.abc import Callable, Mapping
from typing import Any, Final

Reader = Callable[[Any], Any]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")


class CodecError(ValueError):
    """A value that does not fit. `path` says which, such as `servers.julia.mounts[0].source`; empty: the whole."""

    def __init__(self, problem: str, path: str = "") -> None:
        super().__init__(problem, path)
        self.problem = problem
        self.path = path

    def __str__(self) -> str:
        return f"{self.path}: {self.problem}" if self.path else self.problem

    def within(self, key: str) -> CodecError:
        """The same, seen from what holds it under this key."""
        joint = "" if self.path.startswith("[") or not self.path else "."
        return CodecError(self.problem, f"{key}{joint}{self.path}")


def enum_reader(kind: type[enum.Enum]) -> Reader:
    members = {(type(member.value), member.value): member for member in kind}
    choices = ", ".join(str(member.value) for member in kind)

    def read_enum(value: object) -> enum.Enum:
        found = members.get((type(value), value)) if isinstance(value, str | int) else None
        if found is None:
            raise CodecError(f"must be one of {choices}")
        return found

    return read_enum


def exactly(kind: type, expected: str, value: object) -> object:
    if type(value) is not kind:
        raise misfit(expected, value)
    return value


def number(value: object) -> float:
    if type(value) is float:
        return value
    if type(value) is not int:
        raise misfit("a number", value)
    try:
        return float(value)
    except OverflowError:
        raise CodecError("too large a number") from None


def finite(value: object) -> float:
    found = number(value)
    if not math.isfinite(found):
        raise CodecError("must be a finite number")
    return found


def text(value: object) -> str:
    if type(value) is not str:
        raise misfit("text", value)
    return value


def whole_text(value: object) -> str:
    found = text(value)
    if not found.isascii() and _SURROGATE.search(found):
        # JSON can spell one; neither a name of Docker's, nor a path, nor a log can.
        raise CodecError("contains half a character (a lone surrogate)")
    return found


KINDS: Final[Mapping[type, str]] = types.MappingProxyType(
    {str: "text", float: "a number", bool: "true or false", int: "a whole number", type(None): "null"}
)


def misfit(expected: str, value: object) -> CodecError:
    return CodecError(f"must be {expected}, is {kind_of(value)}")


def kind_of(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true or false"
        case int() | float():
            return "a number"
        case str():
            return "text"
        case list():
            return "a list"
        case _:
            return "an object"


def shown(key: str) -> str:
    """A key that somebody made up, for a message: on one line."""
    return key[:40] if key.isprintable() and key else ascii(key[:40])
