"""Roots and images that nothing has asked for in a while are removed; they can be made again."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Final

from . import paths, registry
from .locks import locked
from .process import run

UNUSED_S: Final = 14 * 24 * 3600.0


def used(path: Path) -> Path:
    """Note that `path` was asked for now; returns it."""
    os.utime(path)
    return path


def prune(unused_s: float = UNUSED_S) -> list[Path]:
    """Remove what was not used for so many seconds and lies under no machine; returns what went."""
    under = {
        place for record in registry.records() for place in (record.root, record.images) if place is not None
    }
    before = time.time() - unused_s
    old = [
        path
        for folder in (paths.roots(), paths.images())
        for path in sorted(folder.glob("*"))
        if path.suffix != ".lock" and str(path) not in under and path.stat().st_mtime < before
    ]
    for path in old:
        with locked(path.with_name(f"{path.name}.lock")):
            run(["rm", "-rf", "--one-file-system", "--", str(path)], timeout_s=600.0)
    return old
