"""Dataclasses as JSON and back: messages, state files, what the hub is given, the status.

Standard library alone, Python 3.10 on: the guest runs this in whatever image there is.

Fields may be text, numbers, truth values, enums, paths, other dataclasses, `X | None`, tuples and mappings of all
these, and `object` for JSON that is passed on as it is. Mappings are read as read-only ones. What holds everywhere:

- A field that is missing has its default; one without a default is refused.
- A key that no field has is refused by a strict codec, and passed over by the others. Strict are messages, which are
  orders: what is not understood would not be obeyed; and what the hub reads, since a setting that it does not know
  would be one that an administrator believes to hold. Files that outlive the version that wrote them (state, journals,
  status, backups) are not: an older version must be able to read them after a downgrade.
- A strict codec also refuses what JSON can spell but nothing else can take: half characters and infinite numbers.
- Enums are their values. Whole numbers are taken for fractions, truth values never for numbers.
- Whatever does not fit raises CodecError, with the path of the value and never its text, which may be a secret.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import json
import math
import re
import types
import typing
from collections.abc import Callable, Iterator, Mapping
from pathlib import PurePath
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

_LATER: Final = "later"
_ALWAYS: Final = object()  # equals no default
_SCALARS: Final = frozenset({str, int, float, bool, type(None)})
_SURROGATE: Final = re.compile("[\ud800-\udfff]")

_Reader = Callable[[Any], Any]


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


def later(default: Any) -> Any:
    """A field that came after the first release. It is written only when it holds something else than `default`, a
    plain value: so an older strict reader, which does not know it, understands everything else."""
    return dataclasses.field(default=default, metadata={_LATER: True})


@dataclasses.dataclass(frozen=True)
class Key:
    """In an annotation, `Annotated[int, Key("bytes")]`: JSON knows the field by another name."""

    name: str


class Codec(Generic[T]):
    """How one kind of document is written and read. Made once, beside its type: a module's constant."""

    def __init__(self, kind: type[T], *, strict: bool, mark: tuple[str, int] | None = None) -> None:
        """`mark` is a key with the number of the form, written first and required of what is read."""
        annotation: Any = kind  # such as dict[str, int], which is a type to mypy alone
        self.kind = annotation
        self.strict = strict
        self.mark = mark
        self._read = _reader(annotation, strict=strict)

    def plain(self, value: T) -> Any:
        """As json.dumps takes it."""
        return plain(value) if self.mark is None else {self.mark[0]: self.mark[1], **plain(value)}

    def typed(self, data: object) -> T:
        """The value that `plain` made this of. Raises CodecError."""
        if self.mark is not None:
            data = _without_mark(data, *self.mark)
        value: T = self._read(data)
        return value

    def dumps(self, value: T) -> bytes:
        return json.dumps(self.plain(value)).encode()

    def loads(self, content: bytes) -> T:
        """Raises CodecError."""
        return self.typed(parsed(content))


def parsed(content: bytes) -> Any:
    """JSON of any kind. Raises CodecError for whatever else the bytes are, however deep."""
    try:
        return json.loads(content)
    except (ValueError, RecursionError) as error:
        raise CodecError(f"not JSON: {error}") from None


def json_object(content: bytes) -> dict[str, Any]:
    """The object in these bytes. Raises CodecError."""
    value = parsed(content)
    if not isinstance(value, dict):
        raise _misfit("an object", value)
    return value


def plain(value: object) -> Any:
    """Dataclasses, enums and paths as what json.dumps takes."""
    kind: Any = type(value)
    if kind in _SCALARS:
        return value
    if isinstance(value, tuple | list):
        return [item if type(item) in _SCALARS else plain(item) for item in value]
    if isinstance(value, Mapping):
        # Environments are the greater part of what waits for a click: no call for each of their texts.
        return {
            key if type(key) is str else plain(key): item if type(item) in _SCALARS else plain(item)
            for key, item in value.items()
        }
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, str):  # a grammar's own kind of it
        return str(value)
    return {
        key: item if type(item) in _SCALARS else plain(item)
        for key, name, default in _written(kind)
        if (item := getattr(value, name)) != default
    }


@functools.cache
def _written(kind: type[Any]) -> tuple[tuple[str, str, object], ...]:
    """Of each field: its key, its name, and the value with which it is left out."""
    return tuple(
        (key, one.name, one.default if _LATER in one.metadata else _ALWAYS) for key, one, _ in _fields(kind)
    )


def _fields(kind: type[Any]) -> Iterator[tuple[str, dataclasses.Field[Any], Any]]:
    """Each field with its key and the annotation of its value."""
    hints = typing.get_type_hints(kind, include_extras=True)
    for one in dataclasses.fields(kind):
        hint = hints[one.name]
        if typing.get_origin(hint) is typing.Annotated:
            annotation, key = typing.get_args(hint)
            yield key.name, one, annotation
        else:
            yield one.name, one, hint


def _without_mark(data: object, key: str, number: int) -> object:
    if not isinstance(data, dict):
        raise _misfit("an object", data)
    if key not in data:
        raise CodecError("missing", key)
    if type(data[key]) is not int or data[key] != number:
        found = data[key] if type(data[key]) is int else _kind(data[key])
        raise CodecError(
            f"is {found}, this hubagent reads {number}; are all packages of hubagent the same version?", key
        )
    return {name: value for name, value in data.items() if name != key}


@functools.cache
def _reader(kind: Any, *, strict: bool) -> _Reader:
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
        return _whole_text if strict else _text
    if kind is float:
        return _finite if strict else _number
    if isinstance(kind, type):
        if kind in _SCALARS:
            return functools.partial(_exactly, kind, _KINDS[kind])
        if issubclass(kind, enum.Enum):
            return _enum(kind)
        if issubclass(kind, PurePath):
            return lambda value: kind(_whole_text(value))
        if dataclasses.is_dataclass(kind):
            return _object(kind, strict=strict)
    raise TypeError(f"{kind!r} has no form in JSON")


def _optional(options: tuple[Any, ...], *, strict: bool) -> _Reader:
    (kind,) = (option for option in options if option is not types.NoneType)
    read = _reader(kind, strict=strict)
    return lambda value: None if value is None else read(value)


def _list(kinds: tuple[Any, ...], *, strict: bool) -> _Reader:
    """`tuple[X, ...]`, and tuples of so many values as there are kinds."""
    read = _reader(kinds[0], strict=strict)
    readers = None if kinds[1:] == (...,) else tuple(_reader(kind, strict=strict) for kind in kinds)

    def read_list(value: object) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise _misfit("a list", value)
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


def _mapping(key_kind: Any, item_kind: Any, *, strict: bool) -> _Reader:
    read_key, read = _reader(key_kind, strict=strict), _reader(item_kind, strict=strict)

    def read_mapping(value: object) -> Mapping[Any, Any]:
        if not isinstance(value, dict):
            raise _misfit("an object", value)
        found = {}
        for key, item in value.items():
            try:
                found[read_key(key)] = read(item)
            except CodecError as error:
                raise error.within(_shown(key)) from None
        return types.MappingProxyType(found)

    return read_mapping


def _object(cls: type[Any], *, strict: bool) -> _Reader:
    readers = {key: (one.name, _reader(hint, strict=strict)) for key, one, hint in _fields(cls)}
    required = {key: one.name for key, one, _ in _fields(cls) if _is_required(one)}

    def read_object(value: object) -> Any:
        if not isinstance(value, dict):
            raise _misfit("an object", value)
        given = {}
        for key, item in value.items():
            known = readers.get(key)
            if known is None:
                if strict:
                    raise CodecError(
                        "unknown key; are all packages of hubagent the same version?", _shown(key)
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


def _enum(kind: type[enum.Enum]) -> _Reader:
    members = {(type(member.value), member.value): member for member in kind}
    choices = ", ".join(str(member.value) for member in kind)

    def read_enum(value: object) -> enum.Enum:
        found = members.get((type(value), value)) if isinstance(value, str | int) else None
        if found is None:
            raise CodecError(f"must be one of {choices}")
        return found

    return read_enum


def _exactly(kind: type, expected: str, value: object) -> object:
    if type(value) is not kind:
        raise _misfit(expected, value)
    return value


def _number(value: object) -> float:
    if type(value) is float:
        return value
    if type(value) is not int:
        raise _misfit("a number", value)
    try:
        return float(value)
    except OverflowError:
        raise CodecError("too large a number") from None


def _finite(value: object) -> float:
    number = _number(value)
    if not math.isfinite(number):
        raise CodecError("must be a finite number")
    return number


def _text(value: object) -> str:
    if type(value) is not str:
        raise _misfit("text", value)
    return value


def _whole_text(value: object) -> str:
    text = _text(value)
    if not text.isascii() and _SURROGATE.search(text):
        # JSON can spell one; neither a name of Docker's, nor a path, nor a log can.
        raise CodecError("holds half a character (a lone surrogate)")
    return text


_KINDS: Final[Mapping[type, str]] = types.MappingProxyType(
    {bool: "true or false", int: "a whole number", type(None): "null"}
)


def _misfit(expected: str, value: object) -> CodecError:
    return CodecError(f"must be {expected}, is {_kind(value)}")


def _kind(value: object) -> str:
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


def _shown(key: str) -> str:
    """A key that somebody made up, for a message: on one line."""
    return key[:40] if key.isprintable() and key else ascii(key[:40])
