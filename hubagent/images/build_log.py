"""The log of one build: its beginning and its end are kept, however long it is."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Final

from hubagent.ports import Clock

_HEAD_BYTES: Final = 64 * 1024
_TAIL_BYTES: Final = 448 * 1024
_WRITE_EVERY_S: Final = 5.0


class BuildLog:
    """Collects lines, and gives the whole to `write` every few seconds and at the end."""

    def __init__(self, write: Callable[[bytes], None], clock: Clock) -> None:
        self._write = write
        self._clock = clock
        self._head: list[bytes] = []
        self._head_bytes = 0
        self._tail: deque[bytes] = deque()
        self._tail_bytes = 0
        self._left_out = 0
        self._next_s = 0.0

    def line(self, text: str) -> None:
        data = text.encode(errors="replace")[:_HEAD_BYTES] + b"\n"
        if not self._tail and self._head_bytes + len(data) <= _HEAD_BYTES:
            self._head.append(data)
            self._head_bytes += len(data)
        else:
            self._tail.append(data)
            self._tail_bytes += len(data)
            while self._tail_bytes > _TAIL_BYTES:
                self._tail_bytes -= len(self._tail.popleft())
                self._left_out += 1
        if self._clock.monotonic() >= self._next_s:
            self.write()

    def write(self) -> None:
        gap = [f"[{self._left_out} lines are left out here]\n".encode()] if self._left_out else []
        self._write(b"".join((*self._head, *gap, *self._tail)))
        self._next_s = self._clock.monotonic() + _WRITE_EVERY_S
