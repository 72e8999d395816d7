"""Kinds of values that hold others: lists, maps, mappings with fixed keys, named entries, free traits."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from hubagent.config.kinds.scalars import MASK, Key, Kind, Schema, keys_of
from hubagent.config.tree import (
    At,
    Entries,
    Items,
    Node,
    RefusedError,
    Text,
    UnreadableError,
    closest,
    names_secret,
)


def is_nothing(node: Node) -> bool:
    """A key without a value, as when everything under it is commented out."""
    return isinstance(node, Text) and node.value is None


@dataclass(frozen=True, slots=True)
class ListOf:
    """A list; its items may not repeat."""

    item: Kind
    minimum: int = 0
    plural: str = ""

    @property
    def label(self) -> str:
        return f"list of {self.plural or self.item.label}"

    def read(self, node: Node, at: At) -> tuple[Any, ...]:
        if not isinstance(node, Items):
            one = f", such as [{node.text}]" if isinstance(node, Text) and 0 < len(node.text) < 40 else ""
            raise RefusedError(f"is not a list; write a {self.label}{one}")
        values: dict[Any, None] = {}
        complete = True
        for index, child in enumerate(node.items):
            here = at.child(index)
            here.passed(child.place, child)
            try:
                value = self.item.read(child, here)
            except (RefusedError, UnreadableError) as error:
                here.report_all(child.place, error)
                complete = False
                continue
            if value in values:
                here.report(child.place, "is in the list already; remove one of the two")
            values[value] = None
        if not complete:
            raise UnreadableError
        if len(values) < self.minimum:
            raise RefusedError(f"is empty; write a {self.label} with at least {self.minimum}")
        return tuple(values)

    def write(self, value: tuple[Any, ...], *, masked: bool = False) -> object:
        return [self.item.write(item, masked=masked) for item in value]

    def schema(self) -> Schema:
        schema: Schema = {"type": "array", "items": self.item.schema(), "uniqueItems": True}
        return {**schema, "minItems": self.minimum} if self.minimum else schema


@dataclass(frozen=True, slots=True)
class MapOf:
    """A mapping with free names."""

    parse_name: Callable[[str], str]
    item: Kind
    label: str
    name_pattern: str

    def read(self, node: Node, at: At) -> dict[str, Any]:
        values: dict[str, Any] = {}
        complete = True
        for name, child in _entries(node, f"a {self.label}").entries:
            here = at.child(name.text)
            here.passed(name.place, child)
            place = name.place
            try:
                key = self.parse_name(name.text)
                place = child.place
                values[key] = self.item.read(child, here)
            except (RefusedError, UnreadableError) as error:
                here.report_all(place, error)
                complete = False
        if not complete:
            raise UnreadableError
        return values

    def write(self, value: Mapping[str, Any], *, masked: bool = False) -> object:
        return {
            name: MASK if masked and names_secret(name) else self.item.write(item, masked=masked)
            for name, item in value.items()
        }

    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^(?:{self.name_pattern})$"},
            "additionalProperties": self.item.schema(),
        }


@dataclass(frozen=True, slots=True)
class Section:
    """A mapping with fixed keys, read into a dataclass of the model."""

    cls: type
    label: str = "mapping"

    def read(self, node: Node, at: At, given: Mapping[str, object] | None = None) -> Any:
        """A mapping in which some values are faulty still gives an object, with defaults in their place,
        so that rules over several keys can be checked; the faults are in the walk."""
        values = dict(given or {})
        keys = keys_of(self.cls)
        for name, child in _entries(node, f"a mapping with {', '.join(keys)}").entries:
            here = at.child(name.text)
            known = keys.get(name.text)
            if known is None:
                here.report(name.place, _unknown(here, keys))
                continue
            here.passed(name.place, child)
            try:
                values[known.field] = _nothing(known) if is_nothing(child) else known.kind.read(child, here)
            except (RefusedError, UnreadableError) as error:
                on_one_line = isinstance(child, Text) and not is_nothing(child)
                here.report_all(child.place if on_one_line else name.place, error)
        written = {name.text for name, _ in node.entries} if isinstance(node, Entries) else set()
        missing = [k.name for k in keys.values() if k.required and k.field not in values]
        absent = [name for name in missing if name not in written]
        if absent:
            raise RefusedError(f"lacks {' and '.join(absent)}; write {'them' if len(absent) > 1 else 'it'}")
        if missing:
            raise UnreadableError
        return self.cls(**values)

    def write(self, value: Any, *, masked: bool = False) -> dict[str, object]:
        return {
            k.name: k.kind.write(item, masked=masked)
            for k in keys_of(self.cls).values()
            if (item := getattr(value, k.field)) is not None
        }

    def schema(self) -> Schema:
        properties = {k.name: _key_schema(k) for k in keys_of(self.cls).values()}
        schema: Schema = {"type": "object", "properties": properties, "additionalProperties": False}
        required = [k.name for k in keys_of(self.cls).values() if k.required]
        return {**schema, "required": required} if required else schema


@dataclass(frozen=True, slots=True)
class Named:
    """A mapping from names to mappings with fixed keys, read into a tuple of objects that know their name.

    Entries are `given(name)` first and then what the file says.
    """

    section: Section
    parse_name: Callable[[str], object]
    name_pattern: str
    given: Callable[[str], Mapping[str, object]]
    label: str = "mapping by name"

    def read(self, node: Node, at: At) -> tuple[Any, ...]:
        values: list[Any] = []
        for name, child in _entries(node, "a mapping from names to servers").entries:
            here = at.child(name.text)
            here.passed(name.place, child)
            try:
                self.parse_name(name.text)
            except RefusedError as error:
                here.report(name.place, str(error))
            try:
                body = Entries(child.place, ()) if is_nothing(child) else child
                values.append(self.section.read(body, here, self.given(name.text)))
            except (RefusedError, UnreadableError) as error:
                here.report_all(name.place, error)
        if isinstance(node, Entries) and not node.entries:
            raise RefusedError("is empty; write at least one server, or remove the line for the default one")
        if not values:
            raise UnreadableError
        return tuple(values)

    def write(self, value: tuple[Any, ...], *, masked: bool = False) -> object:
        return {str(entry.name): self.section.write(entry, masked=masked) for entry in value}

    def schema(self) -> Schema:
        return {
            "type": "object",
            "propertyNames": {"pattern": f"^(?:{self.name_pattern})$"},
            "additionalProperties": nullable(self.section.schema()),
            "minProperties": 1,
        }


def nullable(schema: Schema) -> Schema:
    """The schema, accepting a key without a value too."""
    return {**schema, "type": [schema["type"], "null"]}


def may_be_nothing(known: Key) -> bool:
    """Whether the key may stand without a value, and then means its default."""
    if not known.has_default:
        return False
    if isinstance(known.kind, Section):
        return known.default is not None
    if isinstance(known.kind, ListOf | MapOf):
        return not known.default
    return known.default is None or (isinstance(known.default, Mapping) and not known.default)


def _key_schema(known: Key) -> Schema:
    schema = known.kind.schema()
    schema = nullable(schema) if may_be_nothing(known) else schema
    described = {"description": known.setting.doc, **schema}
    if known.default is not None and not isinstance(known.kind, Section | Named):
        described["default"] = known.kind.write(known.default)
    return described


def _nothing(known: Key) -> Any:
    if may_be_nothing(known):
        return known.default
    if isinstance(known.kind, Section):
        raise RefusedError("has no value; write {} for its defaults, or remove the line")
    raise RefusedError(f"has no value; write one ({known.kind.label}), or remove the line")


def _entries(node: Node, expected: str) -> Entries:
    if not isinstance(node, Entries):
        raise RefusedError(
            f"is {'a list' if isinstance(node, Items) else 'a single value'}; write {expected}"
        )
    return node


def _unknown(at: At, keys: Mapping[str, Key]) -> str:
    name = str(at.path[-1])
    advice = at.walk.advice(at.path)
    if advice is None and (meant := closest(name, keys)):
        advice = f"did you mean {meant}?"
    return f"unknown key; {advice or 'the keys here are ' + ', '.join(keys)}"
