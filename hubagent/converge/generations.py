"""Generations on disk, and the journal of a switch from one to the next.

/var/lib/hubagent/generations/N/ holds one rendered whole; `current` points at the one in force.
A switch is written down before it is made (`begin`), and done with only when it has been verified
(`commit`) or taken back (`abort`). What a crash leaves open is found by `interrupted`.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent.codec import Codec, CodecError
from hubagent.errors import StorageError
from hubagent.layout import HUB_USER, Layout
from hubagent.ports import FileStore
from hubagent.render import manifest
from hubagent.render.generation import Desired
from hubagent.state.model import Component

log = logging.getLogger(__name__)

KEEP = 5
_SERVED = "served"
_TAKEN_BACK = "taken-back"
_MAX_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Switch:
    """An open transaction: from one generation to another."""

    origin: int | None
    target: int
    source_sha256: str
    attempt: int = 1  # how often these bytes were interrupted by a crash
    disruptive: bool = False  # there was permission to drop websockets, and it was used


_SWITCH: Final = Codec(Switch, strict=False)


@dataclass(frozen=True, slots=True)
class InForce:
    """The generation that `current` points at."""

    number: int
    digest: str
    damaged: tuple[str, ...]  # files that are not as they were written
    markers: Mapping[
        Component, str
    ]  # what a consumer answers that has loaded it; empty when that cannot be told


class Generations:
    """The store. Every method may raise StorageError."""

    def __init__(self, files: FileStore, layout: Layout) -> None:
        self._files = files
        self._layout = layout
        self._whole: dict[int, Desired] = {}  # generations that this process wrote or read whole

    def prepare(self) -> None:
        """Make the folders that everything else relies on."""
        if {"generations", "secrets", "tls"} <= set(self._files.list_dir(self._layout.state)):
            return
        self._files.make_dir(self._layout.state, mode=0o711)
        self._files.make_dir(self._layout.generations, mode=0o711)
        self._files.make_dir(self._layout.secrets, mode=0o700)
        self._files.make_dir(self._layout.tls, mode=0o700)

    def numbers(self) -> tuple[int, ...]:
        return tuple(
            sorted(int(name) for name in self._files.list_dir(self._layout.generations) if name.isdecimal())
        )

    def served(self) -> tuple[int, ...]:
        """Those that were in force and verified: where a rollback may go."""
        return tuple(
            number for number in self.numbers() if _SERVED in self._files.list_dir(self.folder(number))
        )

    def next_number(self) -> int:
        return max(self.numbers(), default=0) + 1

    def folder(self, number: int) -> Path:
        return self._layout.generations / str(number)

    def current(self) -> int | None:
        target = self._files.read_link(self._layout.current)
        name = Path(target).name if target else ""
        return int(name) if name.isdecimal() else None

    def in_force(self) -> InForce | None:
        """The current generation, compared with what was written; None before the first."""
        number = self.current()
        if number is None:
            return None
        try:
            digest, files = manifest.expected(self._read(self.folder(number) / "manifest.json"))
        except StorageError:
            return InForce(number, "", ("manifest.json",), {})
        damaged = tuple(
            path
            for path, sha256 in files.items()
            if hashlib.sha256(self._read_or_empty(self.folder(number) / path)).hexdigest() != sha256
        )
        written = self.whole(number)
        if written is None:
            return InForce(number, digest, damaged, {})
        return InForce(number, written.digest, damaged, written.markers)

    def stage(self, desired: Desired, number: int) -> None:
        """Write generation `number` whole and durable; nothing points at it yet."""
        folder = self.folder(number)
        self._files.remove(folder)
        self._files.make_dir(folder, mode=0o711)
        for name in sorted({str(file.path.parent) for file in desired.files}):
            group = HUB_USER if name == "hub" else "root"
            self._files.make_dir(folder / name, mode=0o750 if name == "hub" else 0o755, group=group)
        for file in desired.files:
            self._files.write(
                folder / file.path, file.content, mode=file.mode, owner=file.owner, group=file.group
            )
        self._files.write(folder / manifest.SOURCE_FILE, desired.source, mode=0o600)
        self._files.write(folder / "manifest.json", manifest.dump(desired), mode=0o600)
        self._whole[number] = desired

    def load(self, number: int) -> Desired:
        """A generation as it was written; StorageError when it is not whole on disk any more."""
        if number in self._whole:
            return self._whole[number]
        folder = self.folder(number)
        written = self._read(folder / "manifest.json")
        _, files = manifest.expected(written)
        contents = {path: self._read(folder / path) for path in files}
        for path, sha256 in files.items():
            if hashlib.sha256(contents[path]).hexdigest() != sha256:
                raise StorageError(f"{folder / path} is not as hubagent wrote it; use another generation")
        self._whole[number] = manifest.load(written, self._read(folder / manifest.SOURCE_FILE), contents)
        return self._whole[number]

    def whole(self, number: int | None) -> Desired | None:
        """A generation to compare with and to return to; None when there is none, or it is damaged."""
        try:
            return self.load(number) if number is not None else None
        except StorageError:
            return None

    def desired(self) -> Desired | None:
        """What the generation in force asks for, as `load` gives it; None before the first."""
        number = self.current()
        return None if number is None else self.load(number)

    def show(self, number: int | None) -> None:
        """Point `current` at a generation, or at nothing, without a switch: only before the first one."""
        if number is None:
            self._files.remove(self._layout.current)
        else:
            self._point_at(number)

    def begin(self, switch: Switch) -> None:
        """Write the intent down, then point `current` at the target."""
        if switch.origin is not None:  # a full disk, or a crash, may have kept `commit` from marking it
            self._mark_served(switch.origin)
        self.note(switch)
        self._point_at(switch.target)

    def note(self, switch: Switch) -> None:
        """Write down an open switch, or what is known of it now."""
        self._files.write(self._journal, _SWITCH.dumps(switch), mode=0o600)

    def commit(self) -> None:
        """What `current` points at serves: close the switch and drop the oldest generations."""
        self._files.remove(self._journal)
        current = self.current()
        if current is not None:
            self._mark_served(current)
        served = self.served()
        others = [number for number in self.numbers() if number not in served]  # rolled back, kept to see why
        for number in (*served[:-KEEP], *others[:-KEEP]):
            if number != current:
                self.discard(number)

    def abort(self, switch: Switch, reason: str) -> None:
        """Point back at the origin (at nothing before the first generation), and mark the target with why.
        The switch stays open until `commit` closes it."""
        self.show(switch.origin)
        if switch.target in self.numbers():
            self._files.write(self.folder(switch.target) / _TAKEN_BACK, f"{reason}\n".encode(), mode=0o600)

    def discard(self, number: int) -> None:
        """Remove a generation that nothing points at."""
        self._whole.pop(number, None)
        self._files.remove(self.folder(number))

    def interrupted(self) -> Switch | None:
        """The switch that a crash left open."""
        state = self._files.read(self._journal, max_bytes=_MAX_BYTES)
        if state is None:
            return None
        try:
            switch = _SWITCH.loads(state.content)
        except CodecError as error:
            log.error("%s is damaged, so what was in force stays: %s", self._journal, error)
            switch = None
        if switch is None or (switch.origin is not None and switch.origin not in self.numbers()):
            self._files.remove(self._journal)
            return None
        return switch

    def _mark_served(self, number: int) -> None:
        names = self._files.list_dir(self.folder(number))
        if "manifest.json" in names and _SERVED not in names:
            self._files.write(self.folder(number) / _SERVED, b"", mode=0o600)

    @property
    def _journal(self) -> Path:
        return self._layout.state / "switch.json"

    def _point_at(self, number: int) -> None:
        self._files.link(self._layout.current, f"generations/{number}")

    def _read(self, path: Path) -> bytes:
        state = self._files.read(path, max_bytes=_MAX_BYTES)
        if state is None:
            raise StorageError(f"{path} is missing")
        return state.content

    def _read_or_empty(self, path: Path) -> bytes:
        state = self._files.read(path, max_bytes=_MAX_BYTES)
        return b"" if state is None else state.content
