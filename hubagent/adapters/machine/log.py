"""The log, written by a thread of its own: whoever logs never waits for the journal, and never fails with it.

journald may hang or be gone. Then lines wait in memory, up to MOST_LINES of them, and what comes after is lost;
the loss is told once it writes again.
"""

from __future__ import annotations

import logging
import os
import queue
import signal
from logging.handlers import QueueHandler
from types import TracebackType
from typing import Final, Self

from hubagent.log_priority import PriorityFormatter
from hubagent.threads import NamedThread

MOST_LINES: Final = 1000

_FLUSH_S: Final = 1.0
_FORMAT: Final = "%(levelname)s %(name)s: %(message)s"


class JournalLog(QueueHandler):
    """All of the program's log goes to `descriptor`, from `with` on until its end. Into the journal each line goes
    with its priority.

    Without QueueListener: that one has no bounded end, and its thread would take signals."""

    def __init__(self, descriptor: int = 2) -> None:
        self._lines: queue.Queue[logging.LogRecord | None] = queue.Queue(MOST_LINES)
        super().__init__(self._lines)
        lines = PriorityFormatter(_FORMAT)
        lines.descriptor = descriptor
        self.setFormatter(lines)
        self._descriptor = descriptor
        self._lost = 0
        self._thread = NamedThread(self._write, name="log")

    def enqueue(self, record: logging.LogRecord) -> None:
        try:
            super().enqueue(record)
        except queue.Full:
            self._lost += 1

    def __enter__(self) -> Self:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
        try:
            self._thread.start()  # it inherits the mask: signals are for those who wait for them
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        logging.getLogger().addHandler(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Waits a moment for what was logged last."""
        logging.getLogger().removeHandler(self)
        try:
            self._lines.put(None, timeout=_FLUSH_S)
        except queue.Full:
            return
        self._thread.join(_FLUSH_S)

    def _write(self) -> None:
        while (record := self._lines.get()) is not None:
            lost, self._lost = self._lost, 0
            try:
                if lost:
                    self._write_line(self.prepare(_lost(lost)))
                self._write_line(record)
            except OSError:  # nobody takes it: there is nowhere to say so
                self._lost += 1 + lost

    def _write_line(self, record: logging.LogRecord) -> None:
        line = f"{record.getMessage()}\n".encode(errors="backslashreplace")
        while line:
            line = line[os.write(self._descriptor, line) :]


def _lost(lines: int) -> logging.LogRecord:
    return logging.LogRecord(__name__, logging.WARNING, __file__, 0, "%d lines were lost", (lines,), None)
