"""Reading the JSON files that the agent hands to the hub."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

from hubagent.codec import Codec, CodecError
from hubagent.errors import HubagentError

T = TypeVar("T")

MAX_BYTES: Final = 4 * 1024 * 1024
"""No file that the agent writes for the hub comes near this size (bytes)."""


class SettingsError(HubagentError):
    """A file that the hub reads cannot be used. The message says which file, which key, what is wrong."""


def read_bytes(path: Path) -> bytes:
    """The whole file. Raises SettingsError when it is absent, unreadable or larger than MAX_BYTES."""
    try:
        with path.open("rb") as file:
            content = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise SettingsError(f"{path}: cannot be read: {error.strerror}") from error
    if len(content) > MAX_BYTES:
        raise SettingsError(f"{path}: larger than {MAX_BYTES} bytes; this is not a file that hubagent wrote")
    return content


def parse(content: bytes, path: Path, codec: Codec[T], check: Callable[[T], None]) -> T:
    """What the bytes of this file say, and `check`, which raises CodecError, has nothing against. Raises SettingsError,
    which shows no secret."""
    try:
        value = codec.loads(content)
        check(value)
    except CodecError as error:
        raise SettingsError(f"{path}: {error}") from None
    return value


def at_least(minimum: float, value: float, key: str) -> None:
    """Raises CodecError."""
    if value < minimum:
        raise CodecError(f"must be at least {minimum:g}, is {value:g}", key)
