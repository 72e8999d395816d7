"""Who works on what: one at a time on a slot, and nobody queues up behind a source that does not answer.

A folder of a file server that is gone may hold a system call for ever, and its thread with it. Such threads
cannot be ended; they must not become many.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Final

from hubagent.helper.refusal import RefusalError

SLOT_WAIT_S: Final = 1.0
"""How long work on a slot waits for other work on it."""

PATIENCE_S: Final = 3.0
"""Who uses a source for longer than this (no claim takes longer) shows that it does not answer."""


class BusyGuard:
    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._slots: set[str] = set()
        self._sources: dict[str, list[float]] = {}  # since when each user of it uses it, oldest first
        self._changed = threading.Condition()

    @contextmanager
    def slot(self, slot: str) -> Iterator[None]:
        """Raises RefusalError when other work on the slot does not end."""
        with self._changed:
            if not self._changed.wait_for(lambda: slot not in self._slots, SLOT_WAIT_S):
                raise RefusalError(
                    f"slot {slot}: is still being attached or detached; try again", reason="busy"
                )
            self._slots.add(slot)
        try:
            yield
        finally:
            with self._changed:
                self._slots.remove(slot)
                self._changed.notify_all()

    @contextmanager
    def sources(self, sources: Iterable[str]) -> Iterator[None]:
        """Raises RefusalError when somebody waits for one of them already."""
        now_s = time.monotonic()
        taken: list[str] = []
        try:
            with self._changed:
                for source in sources:
                    since_s = self._sources.setdefault(source, [])
                    if since_s and now_s - since_s[0] > self._patience_s:
                        raise RefusalError(
                            f"{source}: does not answer (since {now_s - since_s[0]:.0f} s); is its disk or "
                            "file server there?"
                        )
                    since_s.append(now_s)
                    taken.append(source)
            yield
        finally:
            with self._changed:
                for source in taken:
                    self._sources[source].remove(now_s)
                    if not self._sources[source]:
                        del self._sources[source]
