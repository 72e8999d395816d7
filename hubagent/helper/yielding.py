"""Who gives way to a user's start for a moment: Docker itself, and containers that nobody waits for yet.

A weight is not enough: the kernel lets whoever runs finish a slice of some milliseconds, whatever its weight, and a
start wakes twenty processes one after the other. An idle group gives way at once, one that stands still altogether.
"""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Final

from hubagent.helper import cgroups
from hubagent.helper.refusal import RefusalError
from hubagent.helper.restorable import Change, Restorable, Setting

DOCKER: Final = ("docker.service", "containerd.service")

_ID: Final = re.compile(r"[0-9a-f]{64}")


class Yielding:
    """Both last as long as one is within the context, and raise RefusalError. Safe to use from any thread."""

    def __init__(self, groups: cgroups.Cgroups, loans: Restorable) -> None:
        self._groups = groups
        self._loans = loans

    def docker(self) -> AbstractContextManager[None]:
        """Docker's services are idle, as far as they run."""
        return self._loans.changed("docker", self._idle)

    def container(self, container: str) -> AbstractContextManager[None]:
        """The container stands still."""
        if not _ID.fullmatch(container):
            raise RefusalError(
                f"{container[:80]!r} is not a container: an id has 64 hex digits", reason="message"
            )
        group = self._groups.container(container)
        if group is None:
            raise RefusalError(
                f"container {container[:12]}: has no control group below system.slice or docker",
                reason="absent",
            )
        return self._loans.changed(container, lambda: _still(group))

    def _idle(self) -> Change:
        to: list[Setting] = []
        back: list[Setting] = []
        for group in self._groups.services(DOCKER):
            idle = group / cgroups.IDLE
            if _is(idle, "0"):  # else the machine's admin wants it so, or this kernel has no such thing
                weights = [group / name for name in cgroups.WEIGHTS if (group / name).exists()]
                to.append(Setting(idle, "1"))
                back.append(Setting(idle, "0"))
                back += [Setting(file, file.read_text().strip()) for file in weights]
        return Change(tuple(to), tuple(back))


def _still(group: Path) -> Change:
    for name, still, on in cgroups.FREEZERS:
        file = group / name
        if _is(file, on):  # else an admin has stopped it, and will let it go on
            return Change((Setting(file, still),), (Setting(file, on),))
    return Change((), ())


def _is(file: Path, value: str) -> bool:
    return file.exists() and file.read_text().strip() == value
