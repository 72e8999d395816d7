"""The leak fixture, and a systemd and a Docker for all tests that need one."""

from __future__ import annotations

import gc
import os
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent.adapters.systemd.manager import SystemdUnitManager
from tests.contract.real_docker import Engine, real_docker
from tests.contract.small_systemd import SmallSystemd
from tests.contract.units_for_tests import UNITS
from tests.waiting import wait_until

_SETTLE_S = 5.0


@pytest.fixture(autouse=True)
def nothing_leaks() -> Iterator[None]:
    """A test leaves no thread, open file or process behind."""
    before = _belongings()
    yield
    wait_until(
        lambda: _garbage_is_collected() and not (_belongings() - before),
        lambda: f"left behind: {dict(_belongings() - before)}",
        timeout_s=_SETTLE_S,
    )


@pytest.fixture(scope="session")
def engine() -> Iterator[Engine]:
    with real_docker() as one:
        yield one


@pytest.fixture(scope="session")
def systemd() -> Iterator[SmallSystemd]:
    system = SmallSystemd(UNITS)
    # GLib keeps a thread and a few descriptors for the life of the process, from the first call on.
    manager = SystemdUnitManager(address=system.address)
    manager.unit("steady.service")
    manager.close()
    yield system
    system.close()


def _garbage_is_collected() -> bool:
    gc.collect()  # an error kept by a test holds the frames it passed, and what they held
    return True


def _belongings() -> Counter[str]:
    threads = Counter(f"thread {thread.name}" for thread in threading.enumerate())
    return threads + _open_files() + _children()


def _open_files() -> Counter[str]:
    files: Counter[str] = Counter()
    for descriptor in os.listdir("/proc/self/fd"):
        try:
            files[f"file {os.readlink(f'/proc/self/fd/{descriptor}')}"] += 1
        except FileNotFoundError:
            continue  # the one that listed the folder
    return files


def _children() -> Counter[str]:
    pids: list[str] = []
    for task in Path("/proc/self/task").iterdir():
        try:
            pids += (task / "children").read_text().split()
        except FileNotFoundError:
            continue  # a thread that ended just now
    return Counter(f"process {pid}" for pid in pids)
