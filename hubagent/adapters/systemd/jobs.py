"""Who waits for which systemd job.

systemd may remove a job before the answer to the call that queued it is read, and it answers two quick
reloads of one unit with the same job. So results that arrive early are kept while calls are under way, and
every job may have several waiters.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final


class JobWaiter:
    """Gets the result of one job, as the string that systemd sent."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._result = ""

    def wait(self, timeout_s: float) -> str | None:
        """None when the result is not there within that time."""
        return self._result if self._arrived.wait(timeout_s) else None

    def deliver(self, result: str) -> None:
        self._result = result
        self._arrived.set()


class JobBoard:
    """Results of removed jobs on their way to their waiters; used by several threads."""

    def __init__(self) -> None:
        self._lock: Final = threading.Lock()
        self._waiters: dict[str, list[JobWaiter]] = {}
        self._early: dict[str, str] = {}
        self._calls = 0

    @contextmanager
    def call(self) -> Iterator[None]:
        """Around a call that queues a job, and the `waiter` that follows it."""
        with self._lock:
            self._calls += 1
        try:
            yield
        finally:
            with self._lock:
                self._calls -= 1
                if self._calls == 0:
                    self._early.clear()

    @contextmanager
    def waiter(self, job: str) -> Iterator[JobWaiter]:
        """Entered inside `call`, as soon as the job's object path is known."""
        waiter = JobWaiter()
        with self._lock:
            if job in self._early:
                waiter.deliver(self._early[job])
            else:
                self._waiters.setdefault(job, []).append(waiter)
        try:
            yield waiter
        finally:
            with self._lock:
                others = [other for other in self._waiters.pop(job, []) if other is not waiter]
                if others:
                    self._waiters[job] = others

    def removed(self, job: str, result: str) -> None:
        """Take note of a JobRemoved signal."""
        with self._lock:
            if self._calls:
                self._early[job] = result
            for waiter in self._waiters.get(job, []):
                waiter.deliver(result)
