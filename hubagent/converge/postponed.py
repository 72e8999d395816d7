"""Files that are valid, and wait, because applying them took longer than it may.

Each try may interrupt people, and keeps the agent from repairing what is in force. So the first further try
comes at once, and the others ever later.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hubagent.ports import Clock
from hubagent.state import words

_WAIT_S: Final = (0.0, 30.0, 120.0, 600.0, 1800.0)
"""Before the second try, the third and so on; the last for all that follow."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    digest: str
    reason: str
    tries: int
    until_s: float  # Clock.monotonic


class Postponed:
    """At most one generation waits, by its digest. In memory: a new agent tries at once."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._waiting: _Waiting | None = None

    def put(self, digest: str, reason: str) -> None:
        """Time ran out while this generation was tested or applied."""
        before = self._waiting
        tries = before.tries + 1 if before is not None and before.digest == digest else 1
        wait_s = _WAIT_S[min(tries, len(_WAIT_S)) - 1]
        self._waiting = _Waiting(digest, reason, tries, self._clock.monotonic() + wait_s)

    def release(self) -> None:
        """Whatever waits is tried now, and forgotten."""
        self._waiting = None

    def message(self, digest: str) -> str:
        """Why this generation waits, and how long still; empty when it does not."""
        waiting = self._waiting
        if waiting is None or waiting.digest != digest:
            return ""
        left_s = waiting.until_s - self._clock.monotonic()
        return f"{waiting.reason}, in {words.duration(left_s)}" if left_s > 0 else ""
