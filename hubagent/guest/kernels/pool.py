"""The pool of waiting kernels: fills itself one at a time, hands out, refills after a pause.

It rests when nobody has asked for a kernel in a while, or when memory is short: what waits ends, and nothing is made
until somebody asks again. That kernel starts the ordinary way, and the next one waits again.
"""

from __future__ import annotations

import contextlib
import os
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Final

from .recipes import Recipe
from .spare import Spare

PAUSE_S: Final = 3.0
"""After a hand-over: the user's own kernel starts to work first (seconds)."""

RETRY_S: Final = (5.0, 20.0, 60.0, 300.0)
"""After so many failures in a row of one kernel; then no more (seconds)."""

POLL_S: Final = 60.0
"""How often the pool looks for spares that died (seconds)."""


class Pool:
    """Waiting kernels by wanted name. Its thread is a daemon: what waits ends with this process, as its
    standard input does."""

    def __init__(self, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._changed = threading.Condition()
        self._recipes: dict[str, tuple[Recipe, int]] = {}
        self._spares: dict[str, list[Spare]] = {}
        self._warming: Spare | None = None
        self._failures: dict[str, int] = {}
        self._faults: dict[str, str] = {}
        self._due_s: dict[str, float] = {}
        self._scratch = ""
        self._asked_s = time.monotonic()
        self._rests = False
        self._is_short = False
        self._keeps = False
        self._ended = False

    def keep(self, recipes: Mapping[str, tuple[Recipe, int]]) -> None:
        """Keep so many of each waiting from now on; called once."""
        with self._changed:
            self._recipes = dict(recipes)
            self._spares = {name: [] for name in recipes}
            self._keeps = True
        threading.Thread(target=self._fill, name="waiting kernels", daemon=True).start()

    def waiting(self) -> dict[str, int]:
        """How many are warm, by wanted name."""
        with self._changed:
            return {name: sum(one.alive for one in spares) for name, spares in self._spares.items()}

    def pids(self) -> tuple[int, ...]:
        """Of those that are warm or getting so."""
        with self._changed:
            waiting = [one for spares in self._spares.values() for one in spares if one.alive]
            return tuple(one.process.pid for one in (*waiting, *([self._warming] if self._warming else ())))

    @property
    def settled(self) -> bool:
        """Every wanted kernel waits, or has failed: nothing more is to be expected soon."""
        with self._changed:
            return self._keeps and all(
                len(self._spares[name]) >= count or self._failures.get(name, 0)
                for name, (_, count) in self._recipes.items()
            )

    def faults(self) -> tuple[str, ...]:
        with self._changed:
            return tuple(f"kernel {name!r} did not become warm: {why}" for name, why in self._faults.items())

    def take(self, command: Sequence[str], directory: str, environment: Mapping[str, str]) -> Spare | None:
        """A spare that has just been told to become this kernel; None when none fits."""
        with self._changed:
            self._asked(command)
            for name, spares in self._spares.items():
                while spare := self._fitting(spares, command, environment):
                    spares.remove(spare)
                    self._due_s[name] = time.monotonic() + self._pause_s
                    self._changed.notify_all()
                    if spare.hand_over(command, directory, environment):
                        return spare
        return None

    def asked(self) -> None:
        """Somebody may want a kernel from now on."""
        with self._changed:
            self._asked_s = time.monotonic()

    def spare(self, *, unused_s: float, is_short: bool) -> None:
        """Rest, when nobody has asked for `unused_s` or memory `is_short`."""
        with self._changed:
            self._is_short = is_short
            if is_short or time.monotonic() - self._asked_s >= unused_s:
                self._rests = True
            waiting = self._waiting() if self._rests else []
            self._changed.notify_all()
        for spare in waiting:
            spare.end()

    def end(self) -> None:
        """End all that wait; none is started any more."""
        with self._changed:
            self._ended = True
            waiting = self._waiting()
            self._changed.notify_all()
        for spare in waiting:
            spare.end()

    def _asked(self, command: Sequence[str]) -> None:
        """A kernel of a kind that can wait is asked for, which takes the processors first."""
        for name, (recipe, _) in self._recipes.items():
            if recipe.begins(command):
                self._asked_s = time.monotonic()
                if self._rests:
                    self._rests = False
                    self._due_s[name] = time.monotonic() + self._pause_s
                    self._changed.notify_all()

    def _waiting(self) -> list[Spare]:
        """All that wait or get warm, which are the pool's no more."""
        waiting = [one for spares in self._spares.values() for one in spares]
        if self._warming:
            waiting.append(self._warming)
            self._warming = None
        self._spares = {name: [] for name in self._spares}
        return waiting

    def _fitting(
        self, spares: list[Spare], command: Sequence[str], environment: Mapping[str, str]
    ) -> Spare | None:
        fitting = (one for one in spares if one.recipe.fits(command, one.environment, environment))
        return next(fitting, None)

    def _fill(self) -> None:
        while True:
            with self._changed:
                name = self._next()
                while name is None and not self._ended:
                    self._changed.wait(self._wait_s())
                    name = self._next()
                if self._ended or name is None:
                    return
                recipe, _ = self._recipes[name]
            self._warm(name, recipe)

    def _warm(self, name: str, recipe: Recipe) -> None:
        spare, warm, is_wanted = None, False, True
        with contextlib.suppress(OSError):
            if recipe.depot and not self._scratch:
                self._scratch = tempfile.mkdtemp(prefix="hubagent-julia-")
            spare = Spare(recipe, os.environ, self._scratch)
            with self._changed:
                if self._ended or self._rests:
                    is_wanted = False
                else:
                    self._warming = spare
            warm = is_wanted and spare.wait_warm()
        with self._changed:
            is_wanted = is_wanted and self._warming is spare
            self._warming = None
            if warm and spare and is_wanted:
                self._failures.pop(name, None)
                self._faults.pop(name, None)
                self._spares[name].append(spare)
            elif is_wanted:
                failures = self._failures[name] = self._failures.get(name, 0) + 1
                self._faults[name] = spare.fault if spare else "it cannot be started"
                self._due_s[name] = time.monotonic() + RETRY_S[min(failures, len(RETRY_S)) - 1]
            self._changed.notify_all()
        if spare and not is_wanted:
            spare.end()

    def _next(self) -> str | None:
        """The kernel to warm now. Drops spares that died."""
        if self._rests or self._is_short:
            return None
        now_s = time.monotonic()
        for name, (_, count) in self._recipes.items():
            self._spares[name] = [one for one in self._spares[name] if one.alive]
            exhausted = self._failures.get(name, 0) > len(RETRY_S)
            if len(self._spares[name]) < count and not exhausted and self._due_s.get(name, 0.0) <= now_s:
                return name
        return None

    def _wait_s(self) -> float:
        now_s = time.monotonic()
        due = [due_s - now_s for due_s in self._due_s.values() if due_s > now_s]
        return max(0.01, min([*due, POLL_S]))
