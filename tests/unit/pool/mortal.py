"""An agent that can be killed between any two steps that it takes on the machine."""

from __future__ import annotations

import threading
from typing import Any


class Killed(BaseException):
    """kill -9. Not an Exception: no handler of the program runs after it."""


class Life:
    """Ends in place of step `steps`; whatever is tried afterwards does not happen. None: for ever."""

    def __init__(self, steps: int | None = None) -> None:
        self.taken = 0
        self._steps = steps
        self._lock = threading.Lock()

    def step(self) -> None:
        with self._lock:
            if self.taken == self._steps:
                raise Killed
            self.taken += 1


class Mortal:
    """Whatever it wraps, with each call a step of that life."""

    def __init__(self, wrapped: Any, life: Life) -> None:
        self._wrapped = wrapped
        self._life = life

    def __getattr__(self, name: str) -> Any:
        attribute = getattr(self._wrapped, name)
        if not callable(attribute):
            return attribute

        def call(*arguments: Any, **named: Any) -> Any:
            self._life.step()
            return attribute(*arguments, **named)

        return call
