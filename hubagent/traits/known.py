"""The classes and traits of the programs in the hub's package, from the table made at its build. Pure."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Mapping

from hubagent.traits.catalogue import AUTHENTICATORS, CLASSES

Alternatives = frozenset[str]
"""Kinds of value that a trait takes: bool, int, float, text, list, dict, size (a number, or a text such as 2G), command
(a text or a list), null, code (Python alone), any (not known)."""


def is_class(name: str) -> bool:
    return name in CLASSES


def classes() -> tuple[str, ...]:
    return tuple(CLASSES)


def ancestry(name: str) -> tuple[str, ...]:
    """The class and those that it takes traits from, nearest first; a class that is not known stands alone."""
    return (name, *CLASSES[name][0]) if name in CLASSES else (name,)


def authenticators() -> tuple[str, ...]:
    """The values of hub.authenticator that need no other package."""
    return tuple(AUTHENTICATORS)


def authenticator(name: str) -> str | None:
    """The class of a value of hub.authenticator; None for one that is not in the package."""
    return AUTHENTICATORS.get(name) or next((cls for cls in CLASSES if name.endswith(f".{cls}")), None)


@functools.cache
def traits(name: str) -> Mapping[str, Alternatives]:
    """All traits of a class, its own and inherited; empty for one that is not known."""
    found: dict[str, Alternatives] = {}
    for cls in ancestry(name):
        for entry in CLASSES[cls][1].split() if cls in CLASSES else ():
            trait, _, kinds = entry.partition(":")
            found.setdefault(trait, frozenset(kinds.split("|")))
    return found


def kinds(names: Iterable[str], trait: str) -> Alternatives:
    """What the trait takes, of a class with this ancestry; empty where that is not known."""
    return next((found for name in names if (found := traits(name).get(trait))), frozenset())
