"""What went wrong and when to try it again: soon at first, then ever more rarely."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hubagent.backoff import Backoff

_BACKOFF: Final = Backoff(first_s=60.0, most_s=3600.0)


@dataclass(frozen=True, slots=True)
class Failure:
    message: str
    count: int
    until_s: float  # monotonic: not before


class Failures:
    """By server and what was tried; trying something else for the same server forgets the old."""

    def __init__(self) -> None:
        self._found: dict[str, tuple[str, Failure]] = {}

    def add(self, server: str, tried: str, message: str, *, now_s: float) -> None:
        before = self.of(server, tried)
        count = before.count + 1 if before else 1
        self._found[server] = tried, Failure(message, count, now_s + _BACKOFF.delay_s(count))

    def of(self, server: str, tried: str) -> Failure | None:
        what, failure = self._found.get(server, ("", None))
        return failure if what == tried else None

    def clear(self, server: str) -> None:
        self._found.pop(server, None)

    def forgive(self) -> None:
        """Somebody wants everything tried now."""
        self._found.clear()
