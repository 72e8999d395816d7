"""Keeping a part of the scene waiting at one point, so that something else happens just then."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Point:
    """Where somebody may wait."""

    def __init__(self, *, only_first: bool) -> None:
        self._only_first = only_first
        self._reached = threading.Event()
        self._go = threading.Event()

    @property
    def reached(self) -> bool:
        return self._reached.is_set()

    def release(self) -> None:
        """Let through who waits, and whoever comes later."""
        self._go.set()

    def wait(self) -> bool:
        if self._only_first and self.reached:
            return True
        self._reached.set()
        return self._go.wait(120)


class Hold:
    """`here` is called where a test may want to stop things; it waits there while a test holds that point."""

    def __init__(self) -> None:
        self._held: dict[str, Point] = {}

    @contextmanager
    def at(self, point: str, *, only_first: bool = False) -> Iterator[Point]:
        """Whoever comes to this point, or who comes first, waits until the end, or until it is released."""
        held = self._held[point] = Point(only_first=only_first)
        try:
            yield held
        finally:
            held.release()
            del self._held[point]

    def here(self, point: str) -> None:
        held = self._held.get(point)
        if held is not None:
            assert held.wait(), point
