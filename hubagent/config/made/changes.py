"""What differs between two configurations, key by key, and plain data as one line of YAML. Pure; secrets are masked."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hubagent.config.kinds.composites import MapOf, Named, Section
from hubagent.config.kinds.scalars import Kind, keys_of
from hubagent.config.kinds.traits import Traits
from hubagent.config.model import Config
from hubagent.config.tree import Path, resolve, spell

_NOT_SET: Final = "not set"
_CHANGED_UNSEEN: Final = " (changed)"  # two masked values look the same

_SAFE: Final = re.compile(
    r"[A-Za-z0-9/$(](?:[A-Za-z0-9 ._/@+$=()-]*[A-Za-z0-9._/@+$=()-])?(?::[A-Za-z0-9._/-]+)?"
)
_CLOCK: Final = re.compile(r"[0-9]+:[0-9:]+")  # a number with base 60 to YAML 1.1 programs


@dataclass(frozen=True, slots=True)
class Change:
    """One key of the YAML file that differs between two generations."""

    key: str
    old: str
    new: str


def changes(old: Config, new: Config) -> tuple[Change, ...]:
    """The keys whose meaning differs, in the order of the file's keys.

    Writing out a default, comments, order of keys and units (1024M, 1G) are no change.
    """
    return tuple(_differences(Section(Config), old, new, ()))


def _differences(kind: Kind, old: Any, new: Any, path: Path) -> Iterator[Change]:
    if old == new and not isinstance(kind, Named):
        return
    if old is None or new is None:
        yield Change(spell(path), _value(kind, old), _value(kind, new))
    elif isinstance(kind, Section):
        for name, known in keys_of(kind.cls).items():
            yield from _differences(
                known.kind, getattr(old, known.field), getattr(new, known.field), (*path, name)
            )
    elif isinstance(kind, Named):
        before, after = ({str(entry.name): entry for entry in entries} for entries in (old, new))
        for name in {**before, **after}:
            yield from _differences(kind.section, before.get(name), after.get(name), (*path, name))
        if [name for name in before if name in after] != [name for name in after if name in before]:
            yield Change(spell(path), flow([*before]), flow([*after]))
    elif isinstance(kind, MapOf | Traits):
        yield from _leaf_differences(kind, old, new, path)
    else:
        yield _masked(path, _value(kind, old), _value(kind, new))


def _masked(path: Path, old: str, new: str) -> Change:
    return Change(spell(path), old, new + _CHANGED_UNSEEN if old == new else new)


def _value(kind: Kind, value: Any) -> str:
    return _NOT_SET if value is None else flow(kind.write(value, masked=True))


def _leaf_differences(kind: MapOf | Traits, old: Any, new: Any, path: Path) -> Iterator[Change]:
    depth = 2 if isinstance(kind, Traits) else 1
    before, after = (dict(_flat(kind.write(value), path, depth)) for value in (old, new))
    seen_before, seen_after = (
        dict(_flat(kind.write(value, masked=True), path, depth)) for value in (old, new)
    )
    for leaf in {**before, **after}:
        if before.get(leaf) != after.get(leaf):
            yield _masked(leaf, seen_before.get(leaf, _NOT_SET), seen_after.get(leaf, _NOT_SET))


def _flat(value: object, path: Path, depth: int) -> Iterator[tuple[Path, str]]:
    if depth and isinstance(value, Mapping):
        for name, item in value.items():
            yield from _flat(item, (*path, name), depth - 1)
    else:
        yield path, flow(value)


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
