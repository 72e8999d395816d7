"""Plain data as one line of YAML that this project's loader reads back unchanged."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Final

from hubagent.config.tree import resolve

_SAFE: Final = re.compile(
    r"[A-Za-z0-9/$(](?:[A-Za-z0-9 ._/@+$=()-]*[A-Za-z0-9._/@+$=()-])?(?::[A-Za-z0-9._/-]+)?"
)
_CLOCK: Final = re.compile(r"[0-9]+:[0-9:]+")  # a number with base 60 to YAML 1.1 programs


def flow(value: object) -> str:
    """Mappings as {a: 1}, lists as [a, b], text in double quotes where it needs them.

    Raises TypeError for anything that is not JSON-like.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return repr(value)
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{_text(str(name))}: {flow(item)}" for name, item in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ", ".join(flow(item) for item in value) + "]"
    raise TypeError(f"{type(value).__name__} has no YAML notation")


def _text(text: str) -> str:
    if (
        _SAFE.fullmatch(text)
        and isinstance(resolve(text), str)
        and len(text) < 1000
        and not _CLOCK.match(text)
    ):
        return text
    return '"' + "".join(_escaped(c) for c in text) + '"'


def _escaped(character: str) -> str:
    if character in '"\\':
        return "\\" + character
    if character.isprintable():
        return character
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
