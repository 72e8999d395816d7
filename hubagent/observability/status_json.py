"""Status as JSON: the document of `hubagent status --json`, /run/hubagent/status.json and /status.json.

The keys are those of the dataclasses in status.py, with these rules, and stay stable within a `format`:
times are unix seconds, sizes bytes, enums their values (a step's `level` its number, 0 to 5), what is not
known is null. `format` and `degraded` are added for readers. `from_json` ignores keys that it does not know
and takes the default for absent ones, so that a newer or older hubagent's document can still be read.
"""

from __future__ import annotations

import dataclasses
import enum
import functools
import types
import typing
from collections.abc import Mapping
from typing import Any, Final

from hubagent.observability.status import Status

FORMAT: Final = 1


def to_json(status: Status) -> dict[str, Any]:
    """A value of dicts, lists, strings, numbers, booleans and None, ready for json.dumps."""
    return {"format": FORMAT, "degraded": status.degraded, **_plain(status)}


def from_json(document: Mapping[str, Any]) -> Status:
    """The inverse of to_json. Raises ValueError for another format, or for what does not fit."""
    if document.get("format") != FORMAT:
        raise ValueError(f"format {document.get('format')!r}: this hubagent reads format {FORMAT}")
    try:
        status = _typed(Status, document)
    except (TypeError, KeyError, AttributeError) as error:
        raise ValueError(f"not a status document: {error}") from error
    return typing.cast("Status", status)


def without_people(status: Status) -> Status:
    """The same without names of users and containers, for readers that are not the administrator."""
    servers = tuple(dataclasses.replace(server, user="", container="") for server in status.servers)
    return dataclasses.replace(status, servers=servers)


def _plain(value: Any) -> Any:
    if isinstance(value, enum.Enum):
        return value.value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    return value


def _typed(kind: Any, value: Any) -> Any:
    """`value`, from JSON, as a value of the annotated type `kind`."""
    if isinstance(kind, types.UnionType):  # in status.py always `X | None`
        wanted = next(option for option in typing.get_args(kind) if option is not types.NoneType)
        return None if value is None else _typed(wanted, value)
    if typing.get_origin(kind) is tuple:
        if not isinstance(value, list):
            raise TypeError(f"{value!r} is not a list")
        item_kind = typing.get_args(kind)[0]
        return tuple(_typed(item_kind, item) for item in value)
    if isinstance(kind, type) and issubclass(kind, enum.Enum):
        return kind(value)
    if isinstance(kind, type) and dataclasses.is_dataclass(kind):
        kinds = _field_kinds(kind)
        return kind(**{name: _typed(kinds[name], value[name]) for name in kinds if name in value})
    if kind is float and type(value) is int:
        return float(value)
    if type(value) is not kind:
        raise TypeError(f"{value!r} is not of type {kind.__name__}")
    return value


@functools.cache
def _field_kinds(kind: type) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    return {field.name: hints[field.name] for field in dataclasses.fields(kind)}
