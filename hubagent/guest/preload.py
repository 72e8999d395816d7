"""Importing what the server will need, before the user is known."""

from __future__ import annotations

import gc
import importlib
import platform
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from hubagent.guest.imports import watching

NEVER: Final = frozenset({"jupyterlab.labhubapp", "jupyterhub.singleuser.mixins"})
"""These patch other modules' classes when imported; a server that starts later then fails at /lab."""

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
    with watching() as watch:
        for name in modules:
            if name in NEVER:
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
