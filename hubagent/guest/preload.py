"""Importing what the server will need, before the user is known."""

from __future__ import annotations

import contextlib
import gc
import importlib
import platform
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from hubagent.guest.imports import watching

_GRAMMAR: Final = "rfc3987_syntax"
"""Optional to jsonschema, for formats that no event or setting of Jupyter has; most of what a server's imports cost."""

NEVER: Final = frozenset({"jupyterlab.labhubapp", "jupyterhub.singleuser.mixins", _GRAMMAR, "lark"})
"""With what is in them. The first two patch other modules' classes when imported; a server that starts later then
fails at /lab. The last is what reads the grammar: who needs it otherwise imports it."""

COMMON: Final = (
    "jupyter_server.serverapp",
    "jupyter_server.services.contents.largefilemanager",
    "jupyterlab.labapp",
    "jupyter_lsp",
    "jupyter_server_terminals",
    "nbconvert",
    "notebook_shim",
    "aiohttp",
    "sqlalchemy.orm",
)
"""For an image that was not proven yet. Each is imported where it exists."""


@dataclass(frozen=True)
class Preloaded:
    faults: tuple[str, ...]  # one line for each module that could not be imported
    reads: frozenset[str]  # environment variables whose values are in modules now


def preload(modules: Iterable[str]) -> Preloaded:
    """Import these in their order; one that fails is left for the server itself."""
    faults = []
    with _without(_GRAMMAR), watching() as watch:
        for name in modules:
            if name in NEVER or name.partition(".")[0] in NEVER:
                continue
            try:
                importlib.import_module(name)
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # whatever a stranger's module does, SystemExit included
                faults.append(f"{name}: {type(error).__name__}: {error}")
    tuple(platform.uname())  # runs a program the first time it is asked for the processor, as servers do
    gc.collect()
    gc.freeze()  # what is loaded now stays: no collection needs to look at it again
    return Preloaded(tuple(faults), frozenset(watch.reads))


@contextlib.contextmanager
def _without(name: str) -> Iterator[None]:
    """Importing this module fails until the block ends, as where it is not installed."""
    is_loaded = name in sys.modules
    if not is_loaded:
        sys.modules[name] = None  # type: ignore[assignment]  # as the import system has it (5.3.1)
    try:
        yield
    finally:
        if not is_loaded:
            del sys.modules[name]
