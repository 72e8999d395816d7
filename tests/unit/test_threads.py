"""A thread's name is in the kernel, too, for ps and top."""

from __future__ import annotations

import os
import resource
import threading
from pathlib import Path

from hubagent.threads import NamedThread


def test_its_name_is_there_cut_off_where_the_kernel_cuts_it_off() -> None:
    seen: list[str] = []
    for name in ("pool", "a-name-that-is-too-long"):
        thread = NamedThread(lambda: seen.append(Path("/proc/thread-self/comm").read_text()), name=name)
        assert thread.daemon
        thread.start()
        thread.join()
    assert seen == ["pool\n", "a-name-that-is-\n"]


def test_it_runs_where_the_name_cannot_be_written() -> None:
    """More files than may be open: every descriptor is taken."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    done = threading.Event()
    thread = NamedThread(done.set, name="pool")
    last = os.open("/dev/null", os.O_RDONLY)
    resource.setrlimit(resource.RLIMIT_NOFILE, (last, hard))
    try:
        thread.start()
        thread.join()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
        os.close(last)
    assert done.is_set()
