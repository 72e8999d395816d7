"""What a test may stage in a fake: the next call of a name fails, or waits."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Staged:
    """Base of fakes. `error` makes the exception that a failing call raises out of its message."""

    def __init__(self, error: Callable[[str], Exception], *, refusal: str) -> None:
        self._error = error
        self._refusal = refusal
        self._failures: dict[tuple[str, bool], list[str]] = {}
        self._gates: dict[str, threading.Event] = {}

    def fail(self, call: str, message: str | None = None, *, after: bool = False) -> None:
        """The next call of this name fails before it does anything, or, `after`, once it has done it."""
        self._failures.setdefault((call, after), []).append(message or self._refusal)

    @contextmanager
    def hold(self, call: str) -> Iterator[None]:
        """Within this context, calls of this name wait."""
        gate = self._gates[call] = threading.Event()
        try:
            yield
        finally:
            del self._gates[call]
            gate.set()

    def _waited(self, call: str, timeout_s: float | None = None) -> bool:
        """False when the call was held for longer than this (seconds)."""
        gate = self._gates.get(call)
        return gate is None or gate.wait(timeout_s)

    def _raise_failure(self, call: str, *, after: bool) -> None:
        failures = self._failures.get((call, after))
        if failures:
            raise self._error(failures.pop(0))
