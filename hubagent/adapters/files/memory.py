"""What small files held when they were read last, valid while their inodes say that nobody wrote them since.

A reconciliation reads some twenty files that change once a month. Device, inode, size, mtime and ctime together tell a
rewrite from no rewrite: a rename brings another inode, and every write in place moves the ctime, which no
program can set. Three things could hide a write all the same, and each is ruled out here:

- a write within the tick of the clock (up to 4 ms; whole seconds on some file systems) in which the file was
  written before and read: so what changed less than SETTLED_S ago is not remembered;
- a program that holds the file mapped moves its times only when the kernel next writes the page to disk, and
  a network file system asks for times only now and then: so nothing is remembered for more than REMEMBER_S;
- a clock that was set back gives an old ctime again: only if the write falls on the same nanosecond.

What its owner alone may read (keys, tokens) is never kept in memory here.
"""

from __future__ import annotations

import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent.ports import FileState

SETTLED_S: Final = 3.0
REMEMBER_S: Final = 60.0

_LARGEST_BYTES: Final = 64 * 1024
_MOST_FILES: Final = 64
_FOR_OTHERS: Final = 0o077

Identity = tuple[int, int, int, int, int]


def identity(facts: os.stat_result) -> Identity:
    """Differs between two moments if the file was replaced or written in between."""
    return facts.st_dev, facts.st_ino, facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns


@dataclass(frozen=True, slots=True)
class _Known:
    identity: Identity
    state: FileState
    until_s: float  # monotonic


class FileMemory:
    """Used by several threads: each operation is one of a dictionary's own."""

    def __init__(self) -> None:
        self._known: dict[Path, _Known] = {}

    def recall(self, path: Path, facts: os.stat_result) -> FileState | None:
        """What the file holds, of which stat(2) has just said `facts`; None when it has to be read."""
        known = self._known.get(path)
        if known is None or known.identity != identity(facts) or time.monotonic() >= known.until_s:
            return None
        return known.state

    def keep(self, path: Path, facts: os.stat_result, state: FileState) -> None:
        """Remember what was read, where `facts` were the same before and after reading it."""
        age_s = time.time() - facts.st_ctime
        if age_s < SETTLED_S or len(state.content) > _LARGEST_BYTES or not state.mode & _FOR_OTHERS:
            self._known.pop(path, None)
            return
        if len(self._known) >= _MOST_FILES:
            self._known.clear()
        self._known[path] = _Known(identity(facts), state, time.monotonic() + REMEMBER_S)
