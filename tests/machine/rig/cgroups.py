"""A cgroup for each machine in every hierarchy of this host; the host's own mounts stay as they are.

Several machines at once would otherwise share one tree, and a unit's cgroup of one would hold processes of another.
What is in a machine's cgroup was started by the rig, so it is also the list of what may be killed.
"""

from __future__ import annotations

import contextlib
import os
import signal
from pathlib import Path
from typing import Final

from . import paths
from .process import wait_until

MOUNT: Final = Path("/sys/fs/cgroup")
NEEDED: Final = ("memory", "cpu", "cpuacct", "cpuset", "pids", "devices", "freezer", "blkio")
_DEPTH: Final = 4


def hierarchies() -> dict[str, Path]:
    """This process' own cgroup in each mounted hierarchy, by the hierarchy's folder name."""
    found: dict[str, Path] = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _, controllers, path = line.split(":", 2)
        folder = controllers.removeprefix("name=") or "unified"
        if (MOUNT / folder / "cgroup.procs").exists():
            found[folder] = MOUNT / folder / path.lstrip("/")
    return found


def create(machine: str) -> list[Path]:
    """Make the machine's cgroups; the caller moves the first process in."""
    made = []
    for folder, own in hierarchies().items():
        group = _outside_of_machines(own) / f"{paths.PREFIX}{machine}"
        group.mkdir(exist_ok=True)
        if folder == "cpuset":  # empty until told otherwise, and then nothing may enter
            for name in ("cpuset.cpus", "cpuset.mems"):
                (group / name).write_text((group.parent / name).read_text())
        made.append(group)
    return made


def _below(folder: Path, pattern: str) -> list[Path]:
    """Path.glob, in a tree whose folders may go while it is read: then it is read again."""
    while folder.exists():
        with contextlib.suppress(FileNotFoundError):
            return list(folder.glob(pattern))
    return []


def groups(machine: str | None = None) -> list[Path]:
    """The cgroups of one machine, or of all machines of the rig."""
    name = f"{paths.PREFIX}{machine or '*'}"
    return [
        found
        for folder in sorted(MOUNT.iterdir())
        if folder.is_dir() and not folder.is_symlink()
        for depth in range(_DEPTH)
        for found in _below(folder, "/".join(["*"] * depth + [name]))
        if found.is_dir() and not any(parent.name.startswith(paths.PREFIX) for parent in found.parents)
    ]


def members(machine: str) -> set[int]:
    """All processes of a machine, by their ids on the host."""
    pids: set[int] = set()
    for group in groups(machine):
        for procs in _below(group, "**/cgroup.procs"):
            with contextlib.suppress(OSError):  # a group that goes while we look
                pids.update(int(word) for word in procs.read_text().split() if word != "0")
    return pids


def thaw(machine: str) -> None:
    """What version 1 has frozen does not die: a container that stood still when its machine lost its power."""
    for group in groups(machine):
        for state in _below(group, "**/freezer.state"):
            with contextlib.suppress(
                OSError
            ):  # the top of a hierarchy cannot be told, others go while we look
                state.write_text("THAWED")


def kill(machine: str, timeout_s: float = 20.0) -> None:
    """Kill all processes of a machine and wait until they are gone."""

    def gone() -> bool:
        left = members(machine)
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        if left:
            thaw(machine)
        return not left

    wait_until(gone, timeout_s, f"the end of all processes of machine {machine}")


def remove(machine: str) -> None:
    """Remove the cgroups, which must be empty of processes; safe to repeat."""

    def gone() -> bool:
        left = groups(machine)
        for group in left:
            for folder, _, _ in os.walk(group, topdown=False):
                with contextlib.suppress(OSError):  # busy until the kernel has buried the last process
                    Path(folder).rmdir()
        return not left

    wait_until(gone, 20.0, f"the removal of the cgroups of machine {machine}")


def _outside_of_machines(own: Path) -> Path:
    for parent in (own, *own.parents):
        if parent.name.startswith(paths.PREFIX):
            return parent.parent
    return own
