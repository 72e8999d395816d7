"""One at a time, for each name."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class NamedLocks:
    """A lock for every name, for as long as somebody wants it."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[str, tuple[threading.Lock, int]] = {}  # with the number of those who want it

    @contextmanager
    def held(self, name: str, *, timeout_s: float) -> Iterator[bool]:
        """Wait for one's turn; False when it did not come in time."""
        with self._guard:
            lock, wanted = self._locks.get(name, (threading.Lock(), 0))
            self._locks[name] = (lock, wanted + 1)
        got = lock.acquire(timeout=timeout_s)
        try:
            yield got
        finally:
            if got:
                lock.release()
            with self._guard:
                lock, wanted = self._locks[name]
                if wanted == 1:
                    del self._locks[name]
                else:
                    self._locks[name] = (lock, wanted - 1)

    def is_held(self, name: str) -> bool:
        """Whether somebody has it at this moment."""
        with self._guard:
            lock, _ = self._locks.get(name, (None, 0))
            return lock is not None and lock.locked()
