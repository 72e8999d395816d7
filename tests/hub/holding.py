"""Keeping a part of the scene waiting at one point, so that something else happens just then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Hold:
    """`here` is called where a test may want to stop things; it waits there while a test holds that point."""

    def __init__(self) -> None:
        self._point = ""
        self._reached = threading.Event()
        self._go = threading.Event()

    @contextmanager
    def at(self, point: str) -> Iterator[Hold]:
        """Whoever comes to this point waits until the end, or until `release`."""
        self._point = point
        self._reached.clear()
        self._go.clear()
        try:
            yield self
        finally:
            self.release()

    def release(self) -> None:
        self._point = ""
        self._go.set()

    @property
    def reached(self) -> bool:
        return self._reached.is_set()

    def here(self, point: str) -> None:
        if point == self._point:
            self._reached.set()
            assert self._go.wait(120), point
