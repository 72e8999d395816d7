"""Failed logins: how many for each user name, and for how long nobody may try again."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(slots=True)
class _Failures:
    count: int
    last_s: float  # monotonic


class FailedLogins:
    """Counts by user name, existing or not, in memory, for at most `capacity` names.

    An attempt counts as failed from its start until `succeeded`, so that many at once do not get more
    tries than many in a row. `max_failures` 0 means no limit.
    """

    def __init__(
        self,
        max_failures: int,
        lockout_s: float,
        *,
        capacity: int = 10_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._max_failures = max_failures
        self._lockout_s = lockout_s
        self._capacity = capacity
        self._clock = clock
        self._failures: OrderedDict[str, _Failures] = OrderedDict()  # longest ago first

    def begin(self, name: str) -> float:
        """Begin an attempt. 0.0 when it may go on, else how many seconds to wait until the next."""
        if self._max_failures == 0:
            return 0.0
        now = self._clock()
        failures = self._failures.get(name)
        if failures is None or now - failures.last_s >= self._lockout_s:
            failures = _Failures(count=0, last_s=now)
        if failures.count >= self._max_failures:
            return failures.last_s + self._lockout_s - now
        failures.count += 1
        failures.last_s = now
        self._failures[name] = failures
        self._failures.move_to_end(name)
        if len(self._failures) > self._capacity:
            self._failures.popitem(last=False)
        return 0.0

    def succeeded(self, name: str) -> None:
        self._failures.pop(name, None)

    def __len__(self) -> int:
        return len(self._failures)
