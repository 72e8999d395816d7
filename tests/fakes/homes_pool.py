"""Homes in memory: what is attached to which slot, for the pool and the broker."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import PurePosixPath

from hubagent import wire
from hubagent.errors import HomeError
from tests.fakes.staging import Staged

HOMES = "/var/lib/docker/volumes"

_ID = re.compile(r"[0-9a-f]{12}")
_CONTAINER = re.compile(r"[0-9a-f]{64}")
_DEVICE = 2049


class FakeHold:
    """`pool.ports.Hold`: closing it twice is fine, as with a socket."""

    def __init__(self, let_go: Callable[[], object]) -> None:
        self._let_go = let_go
        self._is_open = True

    def close(self) -> None:
        if self._is_open:
            self._is_open = False
            self._let_go()


@dataclass(frozen=True)
class Attachment:
    source: str
    folders: tuple[wire.Folder, ...]


class FakeHomes(Staged):
    """`pool.ports.Homes` in memory.

    Every source under HOMES is a home there is, but those in `missing`. `declared` are the folders that the
    configuration knows; None stands for all. A call that is held fails when it lasts longer than its
    deadline. A slot in `in_use` can't be detached. Containers in `elsewhere` have no group to stop them by.
    `attached` has what is attached now, `journal` every call, e.g. ("attach", "0123456789ab"), `idle` and
    `frozen` what stands back until it is let go of.
    """

    def __init__(self, *, declared: Iterable[wire.Folder] | None = None, deadline_s: float = 3.0) -> None:
        super().__init__(HomeError, refusal="the homes helper did not answer")
        self.attached: dict[str, Attachment] = {}
        self.missing: set[str] = set()
        self.in_use: set[str] = set()
        self.journal: list[tuple[str, str]] = []
        self.elsewhere: set[str] = set()
        self.idle: list[FakeHold] = []
        self.frozen: list[str] = []
        self._declared = None if declared is None else tuple(declared)
        self._deadline_s = deadline_s
        self._prepared: set[str] = set()
        self._inodes: dict[str, int] = {}
        self._lock = threading.Lock()

    # For tests

    def declare(self, *folders: wire.Folder) -> None:
        """The configuration knows these from now on, and no other."""
        self._declared = folders

    # Homes

    def prepare(self, slot: str) -> str:
        with self._call("prepare", slot):
            if slot in self.attached:
                raise HomeError(f"slot {slot}: something is attached to it; a slot is never used again")
            self._prepared.add(slot)
            return f"/run/hubagent-homes/slots/{slot}"

    def attach(self, slot: str, source: str, folders: tuple[wire.Folder, ...]) -> wire.Attached:
        with self._call("attach", slot):
            if slot not in self._prepared:
                raise HomeError(f"slot {slot}: was not prepared")
            if slot in self.attached:
                raise HomeError(f"slot {slot}: something is attached to it; a slot is never used again")
            if not _is_within_homes(source) or source in self.missing:
                raise HomeError(f"{source}: cannot be attached; homes are folders in {HOMES}")
            for folder in folders:
                self._check(folder)
            self.attached[slot] = Attachment(source, folders)
            return wire.Attached(_DEVICE, self._inodes.setdefault(source, len(self._inodes) + 1))

    def detach(self, slot: str) -> None:
        with self._call("detach", slot):
            if slot in self.in_use and slot in self.attached:
                raise HomeError(f"slot {slot}: its home is in use; is its container removed?")
            self.attached.pop(slot, None)
            self._prepared.discard(slot)

    def slots(self) -> tuple[str, ...]:
        with self._call("slots"):
            return tuple(sorted(self._prepared))

    def idle_docker(self) -> FakeHold:
        with self._call("idle_docker"):
            hold = FakeHold(lambda: self.idle.remove(hold))
            self.idle.append(hold)
            return hold

    def freeze(self, container: str) -> FakeHold:
        with self._call("freeze"):
            if not _CONTAINER.fullmatch(container):
                raise HomeError(f"{container!r} is not a container: an id has 64 hex digits")
            if container in self.elsewhere:
                raise HomeError(
                    f"container {container[:12]}: has no control group below system.slice or docker"
                )
            self.frozen.append(container)
            return FakeHold(lambda: self.frozen.remove(container))

    @contextmanager
    def _call(self, name: str, slot: str | None = None) -> Iterator[None]:
        if not self._waited(name, self._deadline_s):
            raise HomeError(f"the homes helper did not answer within {self._deadline_s:.1f} s")
        with self._lock:
            self.journal.append((name, slot or ""))
            if slot is not None and not _ID.fullmatch(slot):
                raise HomeError(f"{slot!r} is not a slot: an id has 12 hex digits")
            self._raise_failure(name, after=False)
            yield
            self._raise_failure(name, after=True)

    def _check(self, folder: wire.Folder) -> None:
        if self._declared is not None and not any(
            (one.source, one.target) == (folder.source, folder.target)
            and (folder.read_only or not one.read_only)
            for one in self._declared
        ):
            raise HomeError(f"{folder.source}: the configuration does not declare it for {folder.target!r}")


def _is_within_homes(source: str) -> bool:
    path = PurePosixPath(source)
    return path.is_relative_to(HOMES) and path != PurePosixPath(HOMES) and ".." not in path.parts
