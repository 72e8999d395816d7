"""In Docker, users come before slots: it makes a slot where a processor would rest, unless a user waits for it.

A user waits for Docker when a server starts cold, ends, or has a home to be made; most claims have one short
question, which it answers as quickly while it is idle, unless others keep all processors busy. Without the helper all
goes on, only slower for who clicks beside a slot in the making.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from hubagent import wire
from hubagent.errors import HomeError
from hubagent.pool.ports import Hold, Homes
from hubagent.ports import Clock

log = logging.getLogger(__name__)


class Precedence:
    """Safe to use from any thread, but that one slot at a time is made."""

    def __init__(self, homes: Homes, clock: Clock) -> None:
        self._homes = homes
        self._clock = clock
        self._lock = threading.Lock()
        self._users = 0
        self._until_s = float("-inf")  # Docker may be idle until then
        self._hold: Hold | None = None

    @contextmanager
    def of_others(self) -> Iterator[None]:
        """While Docker makes a slot."""
        with self._lock:
            self._until_s = self._clock.monotonic() + wire.IDLE_AT_MOST_S
            self._take()
        try:
            yield
        finally:
            with self._lock:
                self._until_s = float("-inf")
                self._let_go()

    @contextmanager
    def of_user(self, *, patience_s: float = 0.0) -> Iterator[None]:
        """While a user waits for Docker. What it answers within `patience_s` is not worth the change."""
        timer: threading.Timer | None = None
        with self._lock:
            self._users += 1
            if self._hold is not None and patience_s:
                timer = threading.Timer(patience_s, self._lose_patience)
                timer.start()
            else:
                self._let_go()
        try:
            yield
        finally:
            if timer is not None:
                timer.cancel()
            with self._lock:
                self._users -= 1
                self._take()

    def _lose_patience(self) -> None:
        with self._lock:
            if self._users:  # else it was answered in just this moment
                self._let_go()

    def _take(self) -> None:
        if self._users or self._hold is not None or self._clock.monotonic() >= self._until_s:
            return
        try:
            self._hold = self._homes.idle_docker()
        except HomeError as error:
            log.warning("Docker creates a slot at its full CPU weight: %s", error)
            self._until_s = float("-inf")

    def _let_go(self) -> None:
        if self._hold is not None:
            self._hold.close()
            self._hold = None
