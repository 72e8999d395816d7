"""Reading values by the annotations of fields, and how what does not fit is refused."""

from __future__ import annotations

import dataclasses
import enum
import functools
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

Reader = Callable[[Any], Any]

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

LATER: Final = "later"


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


@dataclasses.dataclass(frozen=True)
class Key:
    """In an annotation, `Annotated[int, Key("bytes")]`: JSON knows the field by another name."""

    name: str


def fields(kind: type[Any]) -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """Each field with its key and the annotation of its value."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for one in dataclasses.fields(kind):
        hint = hints[one.name]
        if typing.get_origin(hint) is typing.Annotated:
            annotation, key = typing.get_args(hint)
            yield key.name, one, annotation
        else:
            yield one.name, one, hint


@functools.cache
def reader(kind: Any, *, strict: bool) -> Reader:
    """Reads the value of a type annotation; TypeError for one that has no form in JSON."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin in (types.UnionType, typing.Union):
        return _optional(arguments, strict=strict)
    if origin is tuple:
        return _list(arguments, strict=strict)
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return _mapping(*arguments, strict=strict)
    if kind is object:
        return lambda value: value
    if kind is str:
        return whole_text if strict else text
    if kind is float:
        return finite if strict else number
    if isinstance(kind, type):
        if kind in KINDS:
            return functools.partial(exactly, kind, KINDS[kind])
        if issubclass(kind, enum.Enum):
            return enum_reader(kind)
        if issubclass(kind, PurePath):
            return lambda value: kind(whole_text(value))
        if dataclasses.is_dataclass(kind):
            return _object(kind, strict=strict)
    raise TypeError(f"{kind!r} has no form in JSON")


def _optional(options: tuple[Any, ...], *, strict: bool) -> Reader:
    (kind,) = (option for option in options if option is not types.NoneType)
    read = reader(kind, strict=strict)
    return lambda value: None if value is None else read(value)


def _list(kinds: tuple[Any, ...], *, strict: bool) -> Reader:
    """`tuple[X, ...]`, and tuples of so many values as there are kinds."""
    read = reader(kinds[0], strict=strict)
    readers = None if kinds[1:] == (...,) else tuple(reader(kind, strict=strict) for kind in kinds)

    def read_list(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise misfit("a list", value)
        if readers is not None and len(value) != len(readers):
            raise CodecError(f"must have {len(readers)} values, has {len(value)}")
        items = []
        for index, item in enumerate(value):
            try:
                items.append(read(item) if readers is None else readers[index](item))
            except CodecError as error:
                raise error.within(f"[{index}]") from None
        return tuple(items)

    return read_list


def _mapping(key_kind: Any, item_kind: Any, *, strict: bool) -> Reader:
    read_key, read = reader(key_kind, strict=strict), reader(item_kind, strict=strict)

    def read_mapping(value: object) -> Mapping[Any, Any]:
        if not isinstance(value, dict):
            raise misfit("an object", value)
        found = {}
        for key, item in value.items():
            try:
                found[read_key(key)] = read(item)
            except CodecError as error:
                raise error.within(shown(key)) from None
        return types.MappingProxyType(found)

    return read_mapping


def _object(cls: type[Any], *, strict: bool) -> Reader:
    readers = {key: (one.name, reader(hint, strict=strict)) for key, one, hint in fields(cls)}
    required = {key: one.name for key, one, _ in fields(cls) if _is_required(one)}

    def read_object(value: object) -> Any:
        if not isinstance(value, dict):
            raise misfit("an object", value)
        given = {}
        for key, item in value.items():
            known = readers.get(key)
            if known is None:
                if strict:
                    raise CodecError(
                        "unknown key; are all packages of hubagent the same version?", shown(key)
                    )
                continue
            name, read = known
            try:
                given[name] = read(item)
            except CodecError as error:
                raise error.within(key) from None
        for key, name in required.items():
            if name not in given:
                raise CodecError("missing", key)
        return cls(**given)

    return read_object


def _is_required(field: dataclasses.Field[Any]) -> bool:
    return field.default is dataclasses.MISSING and field.default_factory is dataclasses.MISSING
