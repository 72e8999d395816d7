"""Messages as bytes, and over a connection.

A frame is four bytes of length (big-endian, of the rest) and one JSON object in UTF-8. The object's `verb`
names a class of messages.py, `v` is VERSION; the other keys are the class's fields, all of them and no others.
A field that came later (messages.added) is left out while it holds its default, and has it where it is missing: so
packages of two versions understand each other during an upgrade. One connection carries one request and one answer.
"""

from __future__ import annotations

import json
import re
import struct
import time
import types
import typing
from collections.abc import Mapping
from dataclasses import Field, fields
from typing import Any, Final, Protocol, TypeVar

from hubagent.wire.messages import ADDED, BY_NAME

VERSION: Final = 1

MAX_BYTES: Final = 1024 * 1024
"""The largest frame (bytes, without its length): an environment and a command line fit many times."""

_SURROGATE: Final = re.compile("[\ud800-\udfff]")

HEADER: Final = struct.Struct(">I")


class WireError(Exception):
    """The other side sent something that is no message, closed early, or was too slow."""


class Connection(Protocol):
    """The part of socket.socket that messages go over."""

    def settimeout(self, value: float | None, /) -> None: ...

    def sendall(self, data: bytes, /) -> None: ...

    def recv(self, size: int, /) -> bytes: ...


Message = TypeVar("Message")


def encode(message: object) -> bytes:
    """One message as a whole frame. Raises WireError when it is larger than MAX_BYTES."""
    body = to_json(message)
    if len(body) > MAX_BYTES:
        raise WireError(f"{type(message).__name__} is larger than {MAX_BYTES} bytes")
    return HEADER.pack(len(body)) + body


def to_json(message: object) -> bytes:
    """A frame's body: one message as JSON."""
    return json.dumps({"v": VERSION, "verb": type(message).__name__, **_values(message)}).encode()


def from_json(body: bytes, *expected: type[Message]) -> Message:
    """The message in a frame's body; raises WireError unless it is a valid one of the `expected` classes."""
    try:
        data = json.loads(body)
    except (ValueError, RecursionError):
        raise WireError("not JSON") from None
    if not isinstance(data, dict):
        raise WireError("not a JSON object")
    if data.pop("v", None) != VERSION:
        raise WireError(
            f"not version {VERSION} of the protocol; are all packages of hubagent the same version?"
        )
    verb = data.pop("verb", None)
    cls = BY_NAME.get(verb) if isinstance(verb, str) else None
    if cls is None or cls not in expected:
        raise WireError(f"expected {', '.join(one.__name__ for one in expected)}, got {str(verb)[:40]!r}")
    message = _object(cls, data, cls.__name__)
    return typing.cast("Message", message)


def body_length(header: bytes) -> int:
    """The length that a frame's header announces; raises WireError above MAX_BYTES."""
    length: int = HEADER.unpack(header)[0]
    if length > MAX_BYTES:
        raise WireError(f"announces {length} bytes, more than {MAX_BYTES}")
    return length


def send(connection: Connection, message: object, *, timeout_s: float) -> None:
    """Send one message on a blocking socket; raises WireError when it does not go out in time."""
    frame = encode(message)
    connection.settimeout(timeout_s)
    try:
        connection.sendall(frame)
    except OSError as error:
        raise WireError(f"cannot send {type(message).__name__}: {error}") from error


def receive(connection: Connection, *expected: type[Message], timeout_s: float) -> Message:
    """One message from a socket, within `timeout_s` for the whole of it; raises WireError."""
    deadline_s = time.monotonic() + timeout_s
    length = body_length(_exactly(connection, HEADER.size, deadline_s))
    return from_json(_exactly(connection, length, deadline_s), *expected)


def _exactly(connection: Connection, count: int, deadline_s: float) -> bytes:
    parts: list[bytes] = []
    missing = count
    while missing:
        left_s = deadline_s - time.monotonic()
        if left_s <= 0:
            raise WireError("no whole message in time")
        connection.settimeout(left_s)
        try:
            part = connection.recv(missing)
        except OSError as error:
            raise WireError(f"no whole message: {error}") from error
        if not part:
            raise WireError("closed before a whole message came")
        parts.append(part)
        missing -= len(part)
    return b"".join(parts)


def _values(message: Any) -> dict[str, object]:
    return {
        one.name: _plain(value)
        for one in fields(message)
        if not _is_default(one, value := getattr(message, one.name))
    }


def _is_default(one: Field[Any], value: object) -> bool:
    """Does an added field hold what it has where it is missing?"""
    return one.metadata.get(ADDED, False) and value == one.default


def _plain(value: object) -> object:
    if isinstance(value, tuple):
        return [_plain(item) for item in value]
    if isinstance(value, Mapping):
        return dict(value)
    return _values(value) if hasattr(value, "__dataclass_fields__") else value


def _object(cls: type[Any], data: Mapping[str, object], where: str) -> object:
    hints = typing.get_type_hints(cls)
    optional = {one.name for one in fields(cls) if one.metadata.get(ADDED, False)}
    wrong = sorted((hints.keys() - optional - data.keys()) | (data.keys() - hints.keys()))
    if wrong:
        raise WireError(f"{where}: missing or unknown: {', '.join(_shown(key) for key in wrong[:5])}")
    given = ((name, hint) for name, hint in hints.items() if name in data)
    return cls(**{name: _value(hint, data[name], f"{where}.{name}") for name, hint in given})


def _value(hint: Any, value: object, where: str) -> object:
    """`value` as the type `hint` says: str, int, float, bool, a message part, or a tuple or mapping of them."""
    origin = typing.get_origin(hint)
    if origin is tuple and isinstance(value, list):
        item = typing.get_args(hint)[0]
        return tuple(_value(item, one, where) for one in value)
    if origin is not None and issubclass(origin, Mapping) and isinstance(value, dict):
        item = typing.get_args(hint)[1]
        keys = (_value(str, key, where) for key in value)
        return types.MappingProxyType(
            {key: _value(item, one, where) for key, one in zip(keys, value.values(), strict=True)}
        )
    if origin is None and hasattr(hint, "__dataclass_fields__") and isinstance(value, dict):
        return _object(hint, value, where)
    if hint is float and type(value) is int:
        return float(value)
    if origin is not None or type(value) is not hint:
        raise WireError(f"{where}: not a {getattr(hint, '__name__', hint)}")
    if isinstance(value, str) and _SURROGATE.search(value):
        # JSON can spell one; neither a name of Docker's, nor a path, nor a log can.
        raise WireError(f"{where}: holds half a character (a lone surrogate)")
    return value


def _shown(key: str) -> str:
    """A key that somebody made up, for a message: on one line."""
    return key[:40] if key.isprintable() else ascii(key[:40])
