"""Whether and where the server's Python looks for packages that its user has installed for themselves (PEP 370)."""

from __future__ import annotations

import site
import sys
from collections.abc import MutableMapping
from pathlib import Path
from typing import Final

_ALONE: Final = "HUBAGENT_ALONE"
"""Set by `start` where it has the launcher run without them, though the server will have them."""

_enabled = site.ENABLE_USER_SITE


def take_back(environment: MutableMapping[str, str]) -> None:
    """Let what is started from here have the packages that `start` has kept from the launcher."""
    global _enabled
    if environment.pop(_ALONE, None) is None:
        return
    del environment["PYTHONNOUSERSITE"]
    options = [word for word in sys.orig_argv[1:] if word.startswith("-")]
    _enabled = not any("s" in word or "I" in word for word in options) and not _is_apart()


def enabled() -> bool:
    """Does a program of this interpreter look for them?"""
    return bool(_enabled)


def folder() -> Path:
    """Where they are by the environment in force; need not exist."""
    site.USER_BASE = site.USER_SITE = None  # were made from an earlier one
    return Path(site.getusersitepackages())


def _is_apart() -> bool:
    """Is this a virtual environment that has nothing but its own packages (site.venv)?"""
    if sys.prefix == sys.base_prefix:
        return False
    try:
        lines = Path(sys.prefix, "pyvenv.cfg").read_text().splitlines()
    except OSError:
        return False
    pairs = (line.partition("=") for line in lines)
    return any(
        name.strip().lower() == "include-system-site-packages" and value.strip().lower() == "false"
        for name, _, value in pairs
    )
