"""Control groups of the kernel's own, laid out as Docker's are, and processes in them. Needs root.

The controllers are those of version 1, as in the machines of tests/machine; `freezer_of_version_2` is the same for what
an ordinary Debian has.
"""

from __future__ import annotations

import contextlib
import secrets
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.waiting import wait_until

CPU: Final = Path("/sys/fs/cgroup/cpu")
FREEZER: Final = Path("/sys/fs/cgroup/freezer")
UNIFIED: Final = Path("/sys/fs/cgroup/unified")

CONTAINER: Final = "0123456789abcdef" * 4
SERVICES: Final = ("docker.service", "containerd.service")


class SmallGroups:
    """`cpu` and `freezer` stand for what is mounted there on a machine. Docker's services run, and one container."""

    def __init__(self, *, cpu: Path = CPU, freezer: Path = FREEZER) -> None:
        name = f"hubagent-test-{secrets.token_hex(4)}"
        self.cpu, self.freezer = cpu / name, freezer / name
        self.services = tuple(self.cpu / "system.slice" / one for one in SERVICES)
        self.container = self.freezer / f"system.slice/docker-{CONTAINER}.scope"
        for group in (*self.services, self.container):
            group.mkdir(parents=True)
        self._processes: list[subprocess.Popen[bytes]] = []

    def close(self) -> None:
        for file, value in (("freezer.state", "THAWED"), ("cgroup.freeze", "0")):
            if (self.container / file).exists():
                (self.container / file).write_text(value)
        for process in self._processes:
            process.kill()
            process.wait()
        for top in {self.cpu, self.freezer}:
            for folder in sorted((one for one in top.rglob("*") if one.is_dir()), reverse=True):
                _remove(folder)
            _remove(top)

    def run(self) -> None:
        """A process in the container that never rests."""
        process = subprocess.Popen(["sh", "-c", "while :; do :; done"])
        self._processes.append(process)
        (self.container / "cgroup.procs").write_text(str(process.pid))

    def idle(self) -> list[str]:
        return [(group / "cpu.idle").read_text().strip() for group in self.services]

    def weights(self) -> list[str]:
        return [(group / "cpu.shares").read_text().strip() for group in self.services]

    def stands_still(self) -> bool:
        """By the kernel's word; a moment after it was told to."""
        state = self.container / "freezer.state"
        if state.exists():
            return state.read_text().strip() == "FROZEN"
        return "frozen 1" in (self.container / "cgroup.events").read_text().splitlines()

    def await_idle(self, *values: str) -> None:
        wait_until(
            lambda: self.idle() == [*values], lambda: f"{self.idle()} is not {[*values]}", timeout_s=10.0
        )

    def await_still(self, *, still: bool) -> None:
        wait_until(
            lambda: self.stands_still() == still,
            lambda: f"it is not so that it stands still: {still}",
            timeout_s=10.0,
        )


def _remove(group: Path) -> None:
    # A process that has just ended is in its group until the kernel is done with it.
    def removed() -> bool:
        with contextlib.suppress(OSError):
            group.rmdir()
        return not group.exists()

    wait_until(removed, lambda: f"{group} is still in use", timeout_s=10.0)


@contextmanager
def small_groups(*, freezer: Path = FREEZER) -> Iterator[SmallGroups]:
    groups = SmallGroups(freezer=freezer)
    try:
        yield groups
    finally:
        groups.close()
