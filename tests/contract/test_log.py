"""The log on real descriptors: in order, never waiting, and honest about what it lost."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from pathlib import Path

import pytest

from hubagent.adapters.machine.log import MOST_LINES, JournalLog
from tests.waiting import wait_until

log = logging.getLogger("hubagent.test")


def test_lines_come_in_order_and_whole() -> None:
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as reader:
        with open(writing, "wb"), JournalLog(writing):
            for number in range(100):
                log.warning("line %d: %s", number, "Grüße")
        assert reader.read().splitlines() == [f"WARNING hubagent.test: line {n}: Grüße" for n in range(100)]


def test_another_stream_than_this_ones_is_no_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a terminal that a service has opened."""
    reading, writing = os.pipe()
    monkeypatch.setenv("JOURNAL_STREAM", f"{os.fstat(reading).st_dev}:1")
    with open(reading, encoding="utf-8") as reader:
        with open(writing, "wb"), JournalLog(writing):
            log.warning("here")
        assert reader.read() == "WARNING hubagent.test: here\n"


def test_what_was_lost_is_a_warning_in_the_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    reading, writing = os.pipe()
    seen = os.fstat(writing)
    monkeypatch.setenv("JOURNAL_STREAM", f"{seen.st_dev}:{seen.st_ino}")
    os.set_blocking(reading, False)
    with open(reading, "rb", buffering=0) as reader, open(writing, "wb"), JournalLog(writing):
        for _ in range(5 * MOST_LINES):
            log.error("%s", "x" * 100)
        received: list[bytes] = []
        wait_until(lambda: _lines_lost(received, reader.read(65536) or b""), 10.0)
        lost = [line for line in b"".join(received).splitlines() if b"lines were lost" in line]
        assert all(line.startswith(b"<4>WARNING ") for line in lost)


def test_a_traceback_is_part_of_its_line() -> None:
    reading, writing = os.pipe()
    with open(reading, encoding="utf-8") as reader:
        with open(writing, "wb"), JournalLog(writing):
            try:
                raise ValueError("\udc80")
            except ValueError:
                log.exception("failed")
        assert reader.read().splitlines()[-1] == "ValueError: \\udc80"


def test_a_reader_that_hangs_holds_up_nobody_and_hears_what_was_lost() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    with open(reading, "rb", buffering=0) as reader, open(writing, "wb"), JournalLog(writing):
        begin = time.monotonic()
        for _ in range(5 * MOST_LINES):
            log.warning("%s", "x" * 100)
        assert time.monotonic() - begin < 10.0
        received: list[bytes] = []
        wait_until(lambda: _lines_lost(received, reader.read(65536) or b""), timeout_s=10.0)


def _lines_lost(received: list[bytes], more: bytes) -> bool:
    received.append(more)
    log.warning("still here")
    return b"lines were lost" in b"".join(received)


def test_signals_are_left_to_the_others() -> None:
    """A thread that takes SIGTERM for the process would end it."""
    with open("/dev/null", "wb") as null, JournalLog(null.fileno()):
        (thread,) = [thread for thread in threading.enumerate() if thread.name == "log"]
        status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
        blocked = next(line for line in status.splitlines() if line.startswith("SigBlk"))
        assert int(blocked.split()[1], 16) >> (signal.SIGTERM - 1) & 1


def test_a_descriptor_that_refuses_everything_is_no_fault() -> None:
    with open("/dev/full", "wb") as full, JournalLog(full.fileno()):
        for _ in range(10):
            log.warning("lost")
