"""What the pool has learnt of each server's slots: how long they take, what they need, what went wrong."""

from __future__ import annotations

import statistics
import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hubagent.pool import policy
from hubagent.ports import Clock

_REMEMBERED: Final = 8
"""So many durations count; the median of them leaves out the one that met a busy machine."""


@dataclass
class _Entry:
    refills_s: deque[float] = field(default_factory=lambda: deque(maxlen=_REMEMBERED))
    slot_bytes: float = policy.FALLBACK_SLOT_BYTES
    was_measured: bool = False
    failures: int = 0
    failed_recipe: str = ""
    last_failure: str | None = None
    until_s: float = float("-inf")  # monotonic
    until_unix_s: float | None = None


class Ledger:
    """By server. Safe to use from any thread."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._entries: dict[str, _Entry] = {}
        self._desired: dict[str, int] = {}
        self._bytes: dict[str, int] = {}  # by slot

    def made(self, server: str, duration_s: float) -> None:
        """A slot got ready; so whatever was wrong is over."""
        with self._lock:
            entry = self._entry(server)
            entry.refills_s.append(duration_s)
            entry.failures, entry.last_failure = 0, None
            entry.until_s, entry.until_unix_s = float("-inf"), None

    def failed(self, server: str, recipe: str, message: str) -> float:
        """Seconds until the next try. Another recipe is a fresh start."""
        with self._lock:
            entry = self._entry(server)
            entry.failures = entry.failures + 1 if entry.failed_recipe == recipe else 1
            entry.failed_recipe, entry.last_failure = recipe, message
            delay_s = policy.backoff_s(entry.failures)
            entry.until_s = self._clock.monotonic() + delay_s
            entry.until_unix_s = self._clock.time() + delay_s
            return delay_s

    def backs_off(self, server: str, recipe: str) -> bool:
        with self._lock:
            entry = self._entry(server)
            return entry.failed_recipe == recipe and self._clock.monotonic() < entry.until_s

    def measured(self, server: str, slot: str, memory_bytes: int) -> None:
        """What a waiting slot takes now."""
        with self._lock:
            self._bytes[slot] = memory_bytes
            # As its newer slots take: one that has just got ready counts a fifth.
            entry = self._entry(server)
            entry.slot_bytes += (memory_bytes - entry.slot_bytes) * (1.0 if not entry.was_measured else 0.2)
            entry.was_measured = True

    def bytes_of(self, slots: Iterable[str]) -> int | None:
        """Of those of these slots that were measured; None when none was."""
        with self._lock:
            return sum(self._bytes.get(slot, 0) for slot in slots) or None

    def keep(self, slots: Collection[str]) -> None:
        """Forget the sizes of all other slots."""
        with self._lock:
            self._bytes = {slot: size for slot, size in self._bytes.items() if slot in slots}

    def wants(self, desired: Mapping[str, int]) -> None:
        """Slots by server, of the last plan."""
        with self._lock:
            self._desired = dict(desired)

    def desired(self, server: str) -> int | None:
        """None when the last plan knows no such server, or there was none."""
        with self._lock:
            return self._desired.get(server)

    def refill_s(self, server: str) -> float:
        with self._lock:
            refills_s = self._entry(server).refills_s
            return statistics.median(refills_s) if refills_s else policy.FALLBACK_REFILL_S

    def slot_bytes(self, server: str) -> int:
        with self._lock:
            return round(self._entry(server).slot_bytes)

    def trouble(self, server: str) -> tuple[str | None, float | None]:
        """The last failure since a slot got ready, and until when (unix seconds) no other try is made."""
        with self._lock:
            entry = self._entry(server)
            over = self._clock.monotonic() >= entry.until_s
            return entry.last_failure, None if over else entry.until_unix_s

    def _entry(self, server: str) -> _Entry:
        return self._entries.setdefault(server, _Entry())
