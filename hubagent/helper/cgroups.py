"""Where the control groups of Docker's services and containers lie, and what their files are called.

cgroups(7) has two versions, and a machine may have both mounted: a controller is where version 1 has it, else in
version 2.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

_SYSTEM: Final = "system.slice"

IDLE: Final = "cpu.idle"
WEIGHTS: Final = ("cpu.weight", "cpu.shares")
"""What `IDLE` overwrites: of version 2, of version 1."""

FREEZERS: Final = (("cgroup.freeze", "1", "0"), ("freezer.state", "FROZEN", "THAWED"))
"""File, what stops the group, what lets it continue; of version 2, of version 1."""


@dataclass(frozen=True, slots=True)
class Cgroups:
    """Where the two controllers are mounted; None where there is none."""

    cpu: Path | None
    freezer: Path | None

    def services(self, names: Sequence[str]) -> tuple[Path, ...]:
        """The groups of those of these units that run; in the slice that systemd has for services."""
        if self.cpu is None:
            return ()
        return tuple(group for name in names if (group := self.cpu / _SYSTEM / name).is_dir())

    def container(self, container: str) -> Path | None:
        """A container's group, by its id: as Docker has it by systemd, or by itself. None when it is elsewhere."""
        if self.freezer is None:
            return None
        places = (self.freezer / _SYSTEM / f"docker-{container}.scope", self.freezer / "docker" / container)
        return next((place for place in places if place.is_dir()), None)


def find(mountinfo: Path = Path("/proc/self/mountinfo")) -> Cgroups:
    """By the mount table of this process: proc_pid_mountinfo(5)."""
    whole: Path | None = None
    by_controller: dict[str, Path] = {}
    for line in mountinfo.read_text().splitlines():
        before, _, after = line.partition(" - ")
        point = Path(before.split(" ")[4])
        kind, _, options = after.split(" ")
        if kind == "cgroup2":
            whole = whole or point
        elif kind == "cgroup":
            for controller in options.split(","):
                by_controller.setdefault(controller, point)
    return Cgroups(by_controller.get("cpu", whole), by_controller.get("freezer", whole))
