"""Reading values by the annotations of fields."""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final

from hubagent.codec import scalars
from hubagent.codec.scalars import CodecError, Reader

LATER: Final = "later"


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
        return scalars.whole_text if strict else scalars.text
    if kind is float:
        return scalars.finite if strict else scalars.number
    if isinstance(kind, type):
        if kind in scalars.KINDS:
            return functools.partial(scalars.exactly, kind, scalars.KINDS[kind])
        if issubclass(kind, enum.Enum):
            return scalars.enum_reader(kind)
        if issubclass(kind, PurePath):
            return lambda value: kind(scalars.whole_text(value))
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
            raise scalars.misfit("a list", value)
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
            raise scalars.misfit("an object", value)
        found = {}
        for key, item in value.items():
            try:
                found[read_key(key)] = read(item)
            except CodecError as error:
                raise error.within(scalars.shown(key)) from None
        return types.MappingProxyType(found)

    return read_mapping


def _object(cls: type[Any], *, strict: bool) -> Reader:
    readers = {key: (one.name, reader(hint, strict=strict)) for key, one, hint in fields(cls)}
    required = {key: one.name for key, one, _ in fields(cls) if _is_required(one)}

    def read_object(value: object) -> Any:
        if not isinstance(value, dict):
            raise scalars.misfit("an object", value)
        given = {}
        for key, item in value.items():
            known = readers.get(key)
            if known is None:
                if strict:
                    raise CodecError(
                        "unknown key; are all packages of hubagent the same version?", scalars.shown(key)
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
