"""What a kind of values is, what is known of each key of the file, and the kinds of scalar values."""

from __future__ import annotations

import dataclasses
import enum
import functools
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, Protocol

from hubagent.config.tree import At, Node, Plain, RefusedError, Text, closest, shown
from hubagent.ladder import Level

Schema = dict[str, Any]

_METADATA: Final = "hubagent"


class Kind(Protocol):
    """How values of one kind are read and written."""

    @property
    def label(self) -> str:
        """The type, in words for the reference."""
        ...

    def read(self, node: Node, at: At) -> Any:
        """The value. Raises RefusedError, or UnreadableError when the faults inside are reported already."""
        ...

    def write(self, value: Any, *, masked: bool = False) -> object:
        """Plain data that reads as this value; secrets are replaced when masked."""
        ...

    def schema(self) -> Schema:
        """A JSON Schema (draft 7) that accepts what `read` may accept."""
        ...


MASK: Final = "(secret)"


def portable(pattern: str) -> str:
    """The pattern as JSON Schema has it: anchored, and without Python's names for groups."""
    unnamed = re.sub(r"\(\?P<\w+>", "(", pattern)
    return f"^(?:{unnamed})$"


def scalar(node: Node, expected: str) -> Plain:
    """The node's plain value; lists and mappings are refused."""
    if not isinstance(node, Text):
        raise RefusedError(f"is a list or mapping; write {expected}")
    return node.value


def described(value: Plain) -> str:
    """A value of the wrong type, for a message."""
    if value is None:
        return "has no value"
    if isinstance(value, bool):
        return f"is {str(value).lower()}"
    return f"{shown(value)} is text" if isinstance(value, str) else f"is the number {str(value)[:40]}"


@dataclass(frozen=True, slots=True)
class Word:
    """Text with a grammar. `numbers`: unquoted numbers are taken exactly as they are written."""

    label: str
    parse: Callable[[str], Any]
    pattern: str | None = None
    example: str = ""
    format: Callable[[Any], str] = str
    numbers: bool = False
    secret: bool = False

    def read(self, node: Node, at: At) -> Any:
        value = scalar(node, self._expected)
        if (
            self.numbers
            and isinstance(value, int | float)
            and not isinstance(value, bool)
            and isinstance(node, Text)
        ):
            value = node.text
        if not isinstance(value, str):
            if value is None or not isinstance(node, Text):
                raise RefusedError(f"has no value; write {self._expected}, or remove the line")
            found = "is not text" if self.secret else f"{described(value)}, not text"
            raise RefusedError(
                f"{found}; put it in quotes if it is meant" + ("" if self.secret else f': "{node.text[:40]}"')
            )
        return self.parse(value)

    def write(self, value: Any, *, masked: bool = False) -> object:
        return MASK if masked and self.secret else self.format(value)

    def schema(self) -> Schema:
        schema: Schema = {"type": ["string", "number"] if self.numbers else "string"}
        if self.pattern:
            schema["pattern"] = portable(self.pattern)
        return schema

    @property
    def _expected(self) -> str:
        return f"a {self.label} such as {self.example}" if self.example else f"a {self.label}"


@dataclass(frozen=True, slots=True)
class Boolean:
    label: str = "true or false"

    def read(self, node: Node, at: At) -> bool:
        value = scalar(node, self.label)
        if isinstance(value, bool):
            return value
        if isinstance(value, str) and value.lower() in {"yes", "on", "y", "true"}:
            raise RefusedError(f"{shown(value)} is text, not a boolean; write true")
        if isinstance(value, str) and value.lower() in {"no", "off", "n", "false"}:
            raise RefusedError(f"{shown(value)} is text, not a boolean; write false")
        raise RefusedError(f"{described(value)}; write true or false")

    def write(self, value: bool, *, masked: bool = False) -> object:  # noqa: FBT001
        return value

    def schema(self) -> Schema:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Number:
    """A number within bounds, both included. `whole` numbers are read as int, others as float."""

    minimum: float
    maximum: float
    whole: bool = True

    @property
    def label(self) -> str:
        return f"{'whole number' if self.whole else 'number'}, {self.minimum:g} to {self.maximum:.15g}"

    def read(self, node: Node, at: At) -> float:
        value = scalar(node, f"a {self.label}")
        if (
            isinstance(value, bool)
            or not isinstance(value, int | float)
            or (self.whole and isinstance(value, float))
        ):
            hint = " without quotes" if isinstance(node, Text) and not node.plain else ""
            raise RefusedError(f"{described(value)}; write a {self.label}{hint}")
        if not self.minimum <= value <= self.maximum:
            raise RefusedError(f"{str(value)[:40]} is out of range; write a {self.label}")
        return value if self.whole else float(value)

    def write(self, value: float, *, masked: bool = False) -> object:
        return int(value) if float(value).is_integer() else value

    def schema(self) -> Schema:
        return {
            "type": "integer" if self.whole else "number",
            "minimum": self.minimum,
            "maximum": self.maximum,
        }


@dataclass(frozen=True, slots=True)
class Quantity:
    """A size or duration: text with a unit, within bounds."""

    label: str
    parse: Callable[[str], float]
    format: Callable[[Any], str | int]
    pattern: str
    minimum: float
    maximum: float
    zero: bool = False  # 0 is also allowed, below the minimum
    plain: bool = False  # numbers without a unit are allowed

    def read(self, node: Node, at: At) -> float:
        expected = f"a {self.label}"
        value = scalar(node, expected)
        if value is None or isinstance(value, bool):
            raise RefusedError(f"{described(value)}; write {expected}")
        if isinstance(value, int) and (self.plain or value == 0):
            quantity: float = value
        else:
            quantity = self.parse(value if isinstance(value, str) else str(value)[:40])
        if not (self.minimum <= quantity <= self.maximum or (self.zero and quantity == 0)):
            raise RefusedError(f"{shown(str(value))} is out of range; write {expected}")
        return quantity if self.plain else float(quantity)

    def write(self, value: float, *, masked: bool = False) -> object:
        return self.format(value)

    def schema(self) -> Schema:
        text: Schema = {"type": "string", "pattern": portable(self.pattern)}
        if self.plain:
            return {"anyOf": [text, {"type": "integer", "minimum": self.minimum, "maximum": self.maximum}]}
        return {"anyOf": [text, {"const": 0}]} if self.zero else text


@dataclass(frozen=True, slots=True)
class Choice:
    """One of an Enum's values."""

    options: type[enum.Enum]

    @property
    def words(self) -> list[str]:
        return [str(option.value) for option in self.options]

    @property
    def label(self) -> str:
        return ", ".join(self.words[:-1]) + " or " + self.words[-1]

    def read(self, node: Node, at: At) -> enum.Enum:
        value = scalar(node, self.label)
        if isinstance(value, str) and value in self.words:
            return self.options(value)
        if isinstance(value, str) and (meant := closest(value.lower(), self.words)):
            raise RefusedError(f"{shown(value)} is not one of {self.label}; did you mean {meant}?")
        raise RefusedError(f"{described(value)}; write {self.label}")

    def write(self, value: enum.Enum, *, masked: bool = False) -> object:
        return value.value

    def schema(self) -> Schema:
        return {"enum": self.words}


@dataclass(frozen=True, slots=True)
class Setting:
    """What the model's author says of a key."""

    kind: Kind
    doc: str
    name: str | None = None  # in the file; None: the field's name without its unit
    interrupts: Level | None = None  # by an edit of the key; None: as the mapping it is in
    implied: str = ""  # for fields without a default that need not be written: what it is then, in words


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping."""

    field: str  # name in the dataclass
    name: str  # name in the file
    setting: Setting
    has_default: bool
    default: Any  # a value of the model; None without one

    @property
    def kind(self) -> Kind:
        return self.setting.kind

    @property
    def required(self) -> bool:
        return not self.has_default and not self.setting.implied


def setting(
    kind: Kind, doc: str, *, name: str | None = None, interrupts: Level | None = None, implied: str = ""
) -> dict[str, Setting]:
    """Metadata for `dataclasses.field`."""
    return {_METADATA: Setting(kind, doc, name, interrupts, implied)}


_UNITS: Final = ("_bytes", "_s")


@functools.cache
def keys_of(cls: type) -> dict[str, Key]:
    """The keys of a mapping by their name in the file, in the model's order."""
    found: dict[str, Key] = {}
    for field in dataclasses.fields(cls):
        if _METADATA not in field.metadata:
            continue
        said: Setting = field.metadata[_METADATA]
        name = said.name or functools.reduce(str.removesuffix, _UNITS, field.name)
        default: Any = None
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        elif field.default is not dataclasses.MISSING:
            default = field.default
        has_default = (
            field.default_factory is not dataclasses.MISSING or field.default is not dataclasses.MISSING
        )
        found[name] = Key(field.name, name, said, has_default, default)
    return found
