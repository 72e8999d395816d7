"""What is known of each key of the file, attached to the model's fields: source of loader, schema and reference."""

from __future__ import annotations

import dataclasses
import enum
import functools
from dataclasses import dataclass
from typing import Any, Final

from hubagent.config.scalars import Kind

_METADATA: Final = "hubagent"


class Interrupts(enum.IntEnum):
    """What users notice of an edit of the key; the steps of the disruption ladder."""

    NOTHING = 0
    NEXT_SPAWN = 1
    NGINX_RELOAD = 2
    HUB_RESTART = 3
    PROXY_RESTART = 4
    NGINX_RESTART = 5


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping."""

    field: str  # name in the dataclass
    name: str  # name in the file
    kind: Kind
    doc: str
    interrupts: Interrupts | None  # None: as the mapping it is in
    required: bool
    default: Any  # a value of the model; None where required


def setting(kind: Kind, doc: str, *, name: str | None = None, interrupts: Interrupts | None = None) -> dict[str, Any]:
    """Metadata for `dataclasses.field`."""
    return {_METADATA: (kind, doc, name, interrupts)}


_SUFFIXES: Final = ("_bytes", "_s")


@functools.cache
def keys_of(cls: type) -> dict[str, Key]:
    """The keys of a mapping by their name in the file, in the model's order."""
    found: dict[str, Key] = {}
    for field in dataclasses.fields(cls):
        if _METADATA not in field.metadata:
            continue
        kind, doc, name, interrupts = field.metadata[_METADATA]
        if name is None:
            name = functools.reduce(str.removesuffix, _SUFFIXES, field.name)
        default, required = field.default, False
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        elif default is dataclasses.MISSING:
            default, required = None, True
        found[name] = Key(field.name, name, kind, doc, interrupts, required, default)
    return found
