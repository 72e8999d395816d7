"""What the pool has learnt of each server's slots: how long they take, what they need, what went wrong."""

from __future__ import annotations

import statistics
import threading
from collections import deque
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final

from hubagent import wire
from hubagent.pool import policy
from hubagent.ports import Clock

CLAIMS_IN_A_ROW: Final = 3
"""After so many claims that failed, one after the other, the pool is of no use to anybody."""

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
    lacks: str = ""
    claims_failed: int = 0  # in a row
    claim_failure: str = ""
    claims_fail_since_s: float | None = None  # unix
    no_home: str = ""  # why none can be attached, as the check has found
    no_home_since_s: float | None = None  # unix
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
        self._spares: dict[str, wire.Spares] = {}  # by slot

    def made(self, server: str, duration_s: float, *, lacks: str = "") -> None:
        """A slot got ready; so whatever was wrong is over. `lacks` says what did not become warm in it."""
        with self._lock:
            entry = self._entry(server)
            entry.lacks = lacks
            entry.refills_s.append(duration_s)
            entry.failures, entry.last_failure = 0, None
            entry.until_s, entry.until_unix_s = float("-inf"), None

    def failed(self, server: str, recipe: str, message: str, *, cost_s: float = 0.0) -> float:
        """Seconds until the next try, the more the more this one has cost. Another recipe is a fresh start."""
        with self._lock:
            entry = self._entry(server)
            entry.failures = entry.failures + 1 if entry.failed_recipe == recipe else 1
            entry.failed_recipe, entry.last_failure = recipe, message
            delay_s = policy.backoff_s(entry.failures, cost_s=cost_s)
            entry.until_s = self._clock.monotonic() + delay_s
            entry.until_unix_s = self._clock.time() + delay_s
            return delay_s

    def try_again(self) -> None:
        """A person wants all that failed to be tried now."""
        with self._lock:
            for entry in self._entries.values():
                entry.failures = 0
                entry.until_s, entry.until_unix_s = float("-inf"), None

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
            self._spares = {slot: spares for slot, spares in self._spares.items() if slot in slots}

    def spared(self, slot: str, spares: wire.Spares) -> None:
        """What still waits in a claimed slot."""
        with self._lock:
            self._spares[slot] = spares

    def spares(self, slots: Iterable[str]) -> wire.Spares:
        """What waits in all of these together."""
        with self._lock:
            found = [self._spares[slot] for slot in slots if slot in self._spares]
        return wire.Spares(
            kernels=sum(one.kernels for one in found),
            plutos=sum(one.plutos for one in found),
            memory_bytes=sum(one.memory_bytes for one in found),
        )

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

    def claimed(self, server: str) -> None:
        """A claim succeeded; so the way is free, whatever was in it."""
        with self._lock:
            entry = self._entry(server)
            entry.claims_failed, entry.claims_fail_since_s = 0, None
            entry.no_home, entry.no_home_since_s = "", None

    def claim_failed(self, server: str, message: str) -> None:
        """A claim failed for a reason that is not its user's."""
        with self._lock:
            entry = self._entry(server)
            entry.claims_failed += 1
            entry.claim_failure = message
            entry.claims_fail_since_s = entry.claims_fail_since_s or self._clock.time()

    def homes_fail(self, faults: Mapping[str, str]) -> None:
        """Why no home can be attached now, by server; the others' can."""
        with self._lock:
            for server in {*faults, *self._entries}:
                entry, fault = self._entry(server), faults.get(server, "")
                entry.no_home_since_s = (entry.no_home_since_s or self._clock.time()) if fault else None
                entry.no_home = fault

    def claims(self, server: str) -> tuple[str | None, float | None]:
        """Why claims fail, in words, and since when (unix seconds); None and None as long as they are not known to."""
        with self._lock:
            entry = self._entry(server)
            if entry.no_home:
                return entry.no_home, entry.no_home_since_s
            if entry.claims_failed >= CLAIMS_IN_A_ROW:
                return (
                    f"the last {entry.claims_failed} claims failed: {entry.claim_failure}",
                    entry.claims_fail_since_s,
                )
            return None, None

    def lacks(self, server: str) -> str | None:
        """What the newest ready slot has not, in words."""
        with self._lock:
            return self._entry(server).lacks or None

    def _entry(self, server: str) -> _Entry:
        return self._entries.setdefault(server, _Entry())
