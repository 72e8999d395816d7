"""Why to check again, and when: many hints become one check. Nothing here decides what a check does."""

from __future__ import annotations

import enum
import threading
from collections.abc import Callable


class Trigger(enum.Enum):
    """What made the agent check. Every one means the same: check."""

    START = "start"
    FILE = "file"
    SIGNAL = "signal"
    UNIT = "unit"
    DOCKER = "docker"
    SERVERS = "servers"  # slots, images or users' servers are others than they were
    CERTIFICATE = "certificate"  # an authority gave one, or did not
    RETRY = "retry"
    STOP = "stop"
    EARLY = "early"  # a file event has come, and more are waited for: time to prepare


# Seconds of quiet to wait for after a hint, and at most altogether. An editor writes a file in several
# operations; systemd and Docker send several signals for one event; while servers start, the processors are theirs.
_QUIET_S = {Trigger.FILE: 0.2, Trigger.UNIT: 0.5, Trigger.DOCKER: 1.0, Trigger.SERVERS: 1.0}
_AT_MOST_S = {Trigger.FILE: 2.0, Trigger.UNIT: 5.0, Trigger.DOCKER: 10.0, Trigger.SERVERS: 5.0}


class Triggers:
    """Thread-safe: anybody puts, the reconcile thread takes."""

    def __init__(self, monotonic: Callable[[], float]) -> None:
        self._monotonic = monotonic
        self._condition = threading.Condition()
        self._first_s: dict[Trigger, float] = {}
        self._due_s: dict[Trigger, float] = {}
        self._early = False

    def put(self, trigger: Trigger, *, delay_s: float = 0.0) -> None:
        """Ask for a check; hints of one kind are held together until they pause."""
        with self._condition:
            now = self._monotonic()
            first = self._first_s.setdefault(trigger, now)
            quiet = delay_s or _QUIET_S.get(trigger, 0.0)
            self._due_s[trigger] = min(now + quiet, first + _AT_MOST_S.get(trigger, quiet))
            self._early = self._early or trigger is Trigger.FILE
            self._condition.notify()

    def take(self, timeout_s: float) -> frozenset[Trigger]:
        """Wait until something is due and return all that is pending; empty after `timeout_s`.

        EARLY alone comes at once with a file event, while its quiet time runs."""
        with self._condition:
            end = self._monotonic() + timeout_s
            while True:
                now = self._monotonic()
                due = min(self._due_s.values(), default=end)
                if self._due_s and due <= now:
                    taken = frozenset(self._due_s)
                    self._due_s.clear()
                    self._first_s.clear()
                    self._early = False
                    return taken
                if self._early:
                    self._early = False
                    return frozenset({Trigger.EARLY})
                if now >= end:
                    return frozenset()
                self._condition.wait(min(due, end) - now)
