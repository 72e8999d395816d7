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
from collections.abc import Mapping
from pathlib import PurePath
from typing import Any, Final, Generic, TypeVar

from hubagent.codec.readers import KINDS, LATER, CodecError, Key, fields, kind_of, misfit, reader

__all__ = ["Codec", "CodecError", "Key", "json_object", "later", "parsed", "plain"]

T = TypeVar("T")

_ALWAYS: Final = object()  # equals no default


def later(default: Any) -> Any:
    """A field that came after the first release. It is written only when it holds something else than `default`, a
    plain value: so an older strict reader, which does not know it, understands everything else."""
    return dataclasses.field(default=default, metadata={LATER: True})


class Codec(Generic[T]):
    """How one kind of document is written and read. Made once, beside its type: a module's constant."""

    def __init__(self, kind: type[T], *, strict: bool, mark: tuple[str, int] | None = None) -> None:
        """`mark` is a key with the number of the form, written first and required of what is read."""
        annotation: Any = kind  # such as dict[str, int], which is a type to mypy alone
        self.kind = annotation
        self.strict = strict
        self.mark = mark
        self._read = reader(annotation, strict=strict)

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
        raise misfit("an object", value)
    return value


def plain(value: object) -> Any:
    """Dataclasses, enums and paths as what json.dumps takes."""
    kind: Any = type(value)
    if kind in KINDS:
        return value
    if isinstance(value, tuple | list):
        return [item if type(item) in KINDS else plain(item) for item in value]
    if isinstance(value, Mapping):
        # Environments are the greater part of what waits for a click: no call for each of their texts.
        return {
            key if type(key) is str else plain(key): item if type(item) in KINDS else plain(item)
            for key, item in value.items()
        }
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, PurePath):
        return str(value)
    if isinstance(value, str):  # a grammar's own kind of it
        return str(value)
    return {
        key: item if type(item) in KINDS else plain(item)
        for key, name, default in _written(kind)
        if (item := getattr(value, name)) != default
    }


@functools.cache
def _written(kind: type[Any]) -> tuple[tuple[str, str, object], ...]:
    """Of each field: its key, its name, and the value with which it is left out."""
    return tuple(
        (key, one.name, one.default if LATER in one.metadata else _ALWAYS) for key, one, _ in fields(kind)
    )


def _without_mark(data: object, key: str, number: int) -> object:
    if not isinstance(data, dict):
        raise misfit("an object", data)
    if key not in data:
        raise CodecError("missing", key)
    if type(data[key]) is not int or data[key] != number:
        found = data[key] if type(data[key]) is int else kind_of(data[key])
        raise CodecError(
            f"is {found}, this hubagent reads {number}; are all packages of hubagent the same version?", key
        )
    return {name: value for name, value in data.items() if name != key}
