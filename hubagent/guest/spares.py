"""Tells the agent what still waits in a user's server, by a pipe that the agent reads when it likes."""

from __future__ import annotations

import contextlib
import os
import stat
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Final

from hubagent import wire

AGAIN_S: Final = 60.0
"""So often all is told again: another agent may read it now, and what waits grows (seconds)."""


class Report:
    """Nothing is told where the agent made no pipe: it is an older one."""

    def __init__(self, folder: Path) -> None:
        self._pipe = _open(folder / wire.GUEST_SPARES)
        self._told: Mapping[str, Collection[int]] = {}
        self._told_s = float("-inf")

    def say(self, waiting: Mapping[str, Collection[int]]) -> None:
        """`waiting` are processes, by the field of wire.Spares; each leads a session, whose memory counts."""
        if self._pipe is None or (waiting == self._told and time.monotonic() - self._told_s < AGAIN_S):
            return
        self._told, self._told_s = waiting, time.monotonic()
        counts = {kind: len(pids) for kind, pids in waiting.items()}
        spares = wire.Spares(
            counts.get("kernels", 0),
            counts.get("plutos", 0),
            memory_bytes({pid for pids in waiting.values() for pid in pids}),
        )
        with contextlib.suppress(OSError):  # full: nobody reads
            os.write(self._pipe, wire.to_json(spares) + b"\n")


def memory_bytes(sessions: Collection[int]) -> int:
    """What the processes of these sessions take, what they share divided among those who do (Pss of proc(5))."""
    total = 0
    for name in os.listdir("/proc") if sessions else ():
        if name.isdigit():
            with contextlib.suppress(
                OSError, IndexError, ValueError
            ):  # it has ended meanwhile, or is another user's
                words = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
                if int(words[3]) in sessions:
                    total += 1024 * _pss_kib(Path(f"/proc/{name}/smaps_rollup").read_text())
    return total


def _pss_kib(smaps: str) -> int:
    line = next(line for line in smaps.splitlines() if line.startswith("Pss:"))
    return int(line.split()[1])


def _open(path: Path) -> int | None:
    """For both ways, so that it need not be read, and keeps what is in it."""
    try:
        pipe = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError:
        return None
    if stat.S_ISFIFO(os.fstat(pipe).st_mode):
        return pipe
    os.close(pipe)
    return None
