"""Messages as bytes, and over a connection.

A frame is four bytes of length (big-endian, of the rest) and one JSON object in UTF-8. The object's `verb`
names a class of messages.py, `v` is VERSION; the other keys are the class's fields and no others (see codec). A
field that came later is left out while it holds its default: so packages of two versions understand each other during
an upgrade. One connection carries one request and one answer.
"""

from __future__ import annotations

import json
import struct
import time
from typing import Final, Protocol, TypeVar

from hubagent.codec import CodecError, json_object, plain
from hubagent.wire.messages import BY_NAME

VERSION: Final = 1

MAX_BYTES: Final = 1024 * 1024
"""The largest frame (bytes, without its length): an environment and a command line fit many times."""

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
    return json.dumps({"v": VERSION, "verb": type(message).__name__, **plain(message)}).encode()


def from_json(body: bytes, *expected: type[Message]) -> Message:
    """The message in a frame's body; raises WireError unless it is a valid one of the `expected` classes."""
    try:
        data = json_object(body)
    except CodecError as error:
        raise WireError(str(error)) from None
    if data.pop("v", None) != VERSION:
        raise WireError(
            f"not version {VERSION} of the protocol; are all packages of hubagent the same version?"
        )
    verb = data.pop("verb", None)
    codec = BY_NAME.get(verb) if isinstance(verb, str) else None
    if codec is None or codec.kind not in expected:
        raise WireError(f"expected {', '.join(one.__name__ for one in expected)}, got {str(verb)[:40]!r}")
    try:
        message: Message = codec.typed(data)
    except CodecError as error:
        raise WireError(str(error.within(codec.kind.__name__))) from None
    return message


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
