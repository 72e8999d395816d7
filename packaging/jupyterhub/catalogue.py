#!/usr/bin/env python3
"""Write hubagent/traits/catalogue.py from this environment, the hub's:

build/hub-venv/bin/python packaging/jupyterhub/catalogue.py > hubagent/traits/catalogue.py
"""

from __future__ import annotations

import contextlib
import textwrap
from collections.abc import Iterator
from importlib.metadata import entry_points

import traitlets
from jupyterhub.app import JupyterHub
from jupyterhub.traitlets import ByteSpecification, Callable, Command
from traitlets.config import Configurable

from hubagent.hub.authenticator import HubagentAuthenticator
from hubagent.hub.spawner import HubagentSpawner

_HEADER = '''\
"""Made by packaging/jupyterhub/catalogue.py from the hub's environment; edit that instead.

By class: those it inherits from, and its own traits with the kinds of value that each takes.
"""

# fmt: off
from collections.abc import Mapping
from typing import Final

'''
# The order matters: the first that fits.
_KINDS: tuple[tuple[type[traitlets.TraitType], str], ...] = (
    (traitlets.CUnicode, "any"),
    (traitlets.Callable, "code"),
    (Callable, "code"),
    (ByteSpecification, "size"),
    (Command, "command"),
    (traitlets.Bool, "bool"),
    (traitlets.Int, "int"),
    (traitlets.Float, "float|int"),
    (traitlets.Unicode, "text"),
    (traitlets.Enum, "any"),
    (traitlets.List, "list"),
    (traitlets.Set, "list"),
    (traitlets.Tuple, "list"),
    (traitlets.Dict, "dict"),
)
_HANDLERS = {"extra_handlers", "extra_log_handlers"}
"""Lists whose items are Python objects."""


def classes() -> dict[str, type[Configurable]]:
    """All that the hub knows, with the authenticators that are installed, by name."""
    roots: list[type] = [HubagentSpawner, HubagentAuthenticator, JupyterHub, *JupyterHub().classes]
    roots += authenticators().values()
    known: dict[str, type[Configurable]] = {}
    for root in roots:
        for cls in root.__mro__:
            if issubclass(cls, Configurable) and cls is not Configurable:
                known.setdefault(cls.__name__, cls)
    return dict(sorted(known.items()))


def authenticators() -> dict[str, type]:
    """By their names for hub.authenticator; some need packages that are not here."""
    found: dict[str, type] = {"native": HubagentAuthenticator}
    for point in sorted(entry_points(group="jupyterhub.authenticators"), key=lambda point: point.name):
        with contextlib.suppress(ImportError):
            found.setdefault(point.name, point.load())
    return found


def kinds(name: str, trait: traitlets.TraitType) -> str:
    """As hubagent.traits.known.Alternatives tells."""
    found = {*_kinds(name, trait).split("|")}
    return "|".join(sorted(found | {"null"} if trait.allow_none and "any" not in found else found))


def _kinds(name: str, trait: traitlets.TraitType) -> str:
    if name in _HANDLERS or (type(trait) is traitlets.Any and name.endswith("_hook")):
        return "code"
    if isinstance(trait, traitlets.Union):
        return "|".join(_kinds(name, one) for one in trait.trait_types)
    return next((kind for cls, kind in _KINDS if isinstance(trait, cls)), "any")


def lines() -> Iterator[str]:
    yield _HEADER
    yield "AUTHENTICATORS: Final[Mapping[str, str]] = {\n"
    yield from (f'    "{name}": "{cls.__name__}",\n' for name, cls in authenticators().items())
    yield "}\n\nCLASSES: Final[Mapping[str, tuple[tuple[str, ...], str]]] = {\n"
    known = classes()
    for name, cls in known.items():
        bases = [base.__name__ for base in cls.__mro__[1:] if base.__name__ in known]
        inherited = "".join(f'"{base}", ' for base in bases)
        own = sorted(cls.class_own_traits(config=True).items())
        text = " ".join(f"{trait}:{kinds(trait, found)}" for trait, found in own)
        yield f'    "{name}": (\n        ({inherited.rstrip()}),\n'
        wrapped = textwrap.wrap(text, 95, break_long_words=False, break_on_hyphens=False)
        yield "".join(f'        "{line} "\n' for line in wrapped).rstrip("\n") or '        ""'
        yield ",\n    ),\n"
    yield "}\n"


if __name__ == "__main__":
    print("".join(lines()), end="")
