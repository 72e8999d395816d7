"""What is known of each key of the file, attached to the model's fields."""

from __future__ import annotations

import dataclasses
import functools
from dataclasses import dataclass
from typing import Any, Final

from hubagent.config.kinds.scalars import Kind
from hubagent.ladder import Level

_METADATA: Final = "hubagent"


@dataclass(frozen=True, slots=True)
class Setting:
    """What the model's author says of a key."""

    kind: Kind
    doc: str
    name: str | None = None  # in the file; None: the field's name without its unit
    interrupts: Level | None = None  # by an edit of the key; None: as the mapping it is in
    implied: str = ""  # for fields without a default that need not be written: what it is then, in words


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a mapping."""

    field: str  # name in the dataclass
    name: str  # name in the file
    setting: Setting
    has_default: bool
    default: Any  # a value of the model; None without one

    @property
    def kind(self) -> Kind:
        return self.setting.kind

    @property
    def required(self) -> bool:
        return not self.has_default and not self.setting.implied


def setting(
    kind: Kind, doc: str, *, name: str | None = None, interrupts: Level | None = None, implied: str = ""
) -> dict[str, Setting]:
    """Metadata for `dataclasses.field`."""
    return {_METADATA: Setting(kind, doc, name, interrupts, implied)}


_UNITS: Final = ("_bytes", "_s")


@functools.cache
def keys_of(cls: type) -> dict[str, Key]:
    """The keys of a mapping by their name in the file, in the model's order."""
    found: dict[str, Key] = {}
    for field in dataclasses.fields(cls):
        if _METADATA not in field.metadata:
            continue
        said: Setting = field.metadata[_METADATA]
        name = said.name or functools.reduce(str.removesuffix, _UNITS, field.name)
        default: Any = None
        if field.default_factory is not dataclasses.MISSING:
            default = field.default_factory()
        elif field.default is not dataclasses.MISSING:
            default = field.default
        has_default = (
            field.default_factory is not dataclasses.MISSING or field.default is not dataclasses.MISSING
        )
        found[name] = Key(field.name, name, said, has_default, default)
    return found
