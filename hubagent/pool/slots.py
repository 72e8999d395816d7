"""Warm slots: their life, their state files, and the registry that gives each to one user at most.

A slot is a started container that waits to become somebody's server. It goes one way and is never used twice.
The truth outlives the agent: Docker's labels say which containers are slots, and a file for each,
`<guests>/<id>/slot.json`, says how far it got. The file is written before what it tells of is done, so that a
successor of a killed agent finds nothing that it does not know of.
"""

from __future__ import annotations

import dataclasses
import enum
import logging
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hubagent.codec import Codec
from hubagent.errors import StorageError
from hubagent.ports import FileStore

log = logging.getLogger(__name__)

STATE_FILE: Final = "slot.json"
NAME_PREFIX: Final = "hubagent-slot-"
_MAX_BYTES: Final = 64 * 1024


class Phase(enum.Enum):
    CREATING = "creating"  # its folders and its container are being made
    WARMING = "warming"  # the container runs; the guest is not ready yet
    READY = "ready"
    CLAIMING = "claiming"  # it is becoming one user's server
    CLAIMED = "claimed"  # it is that user's server, until its end
    DEAD = "dead"  # to be removed, with all that belongs to it


_NEXT: Final[Mapping[Phase, frozenset[Phase]]] = {
    Phase.CREATING: frozenset({Phase.WARMING, Phase.DEAD}),
    Phase.WARMING: frozenset({Phase.READY, Phase.DEAD}),
    Phase.READY: frozenset({Phase.CLAIMING, Phase.DEAD}),
    Phase.CLAIMING: frozenset({Phase.CLAIMED, Phase.DEAD}),
    Phase.CLAIMED: frozenset({Phase.DEAD}),
    Phase.DEAD: frozenset(),
}

WAITING: Final = frozenset({Phase.CREATING, Phase.WARMING, Phase.READY})
"""Phases in which a slot is nobody's."""

TAKEN: Final = frozenset({Phase.CLAIMING, Phase.CLAIMED})
"""Phases in which a slot is one user's."""


@dataclass(frozen=True, slots=True)
class Slot:
    """One slot. Times are unix seconds, 0 where that point was not reached."""

    id: str  # 12 hex digits; also the guest's id
    server: str  # key of `servers`
    recipe: str  # what it was made from; see recipe.py
    phase: Phase
    created_s: float
    ready_s: float = 0.0
    container: str = ""  # id; empty until it is known
    address: str = ""
    user: str = ""
    server_name: str = ""
    volume: str = ""  # of the home that is attached; empty in one that an older agent gave away
    proven: bool = True  # when it was made, it was known what this image's server needs

    @property
    def name(self) -> str:
        """Of the container."""
        return NAME_PREFIX + self.id


_STATE: Final = Codec(Slot, strict=False, mark=("format", 1))


class Slots:
    """All slots. The only writer of their state; every method is safe to call from any thread."""

    def __init__(self, files: FileStore, folder: Path) -> None:
        """`folder` is Layout.guests."""
        self._files = files
        self._folder = folder
        self._lock = threading.RLock()
        self._slots: dict[str, Slot] = {}

    def all(self) -> tuple[Slot, ...]:
        """Oldest first."""
        with self._lock:
            return tuple(sorted(self._slots.values(), key=_age))

    def get(self, slot: str) -> Slot | None:
        with self._lock:
            return self._slots.get(slot)

    def of_container(self, container: str) -> Slot | None:
        """By the container's id or name."""
        with self._lock:
            return self._first(lambda slot: container in (slot.container, slot.name))

    def add(self, slot: Slot) -> None:
        """A new slot. Its folder exists. Raises StorageError, and then there is no such slot."""
        with self._lock:
            self._write(slot)
            self._slots[slot.id] = slot

    def take(self, server: str, recipe: str, user: str, server_name: str, *, volume: str = "") -> Slot | None:
        """A ready slot of this server and recipe becomes this user's: in phase `claiming`, told to the disk.

        None when there is none, or when a slot is the user's `server_name` already. The one that has waited
        longest goes first: it would be the first to be replaced for its age, and those that memory pressure
        evicts are the newest. Raises StorageError; then no slot was taken.
        """
        with self._lock:
            if self._first(lambda slot: _is_of(slot, user, server_name)) is not None:
                return None
            fitting = [slot for slot in self._slots.values() if _fits(slot, server, recipe)]
            if not fitting:
                return None
            slot = dataclasses.replace(
                min(fitting, key=_age),
                phase=Phase.CLAIMING,
                user=user,
                server_name=server_name,
                volume=volume,
            )
            self._write(slot)
            self._slots[slot.id] = slot
            return slot

    def has_ready(self, server: str, recipe: str) -> bool:
        with self._lock:
            return self._first(lambda slot: _fits(slot, server, recipe)) is not None

    def of_user(self, user: str, server_name: str) -> tuple[Slot, ...]:
        """The slot that is, or is becoming, this user's server, and those that were and are not removed yet."""
        with self._lock:
            return tuple(
                slot
                for slot in self._slots.values()
                if slot.user and (slot.user, slot.server_name) == (user, server_name)
            )

    def move(self, slot: str, to: Phase, **changes: Any) -> Slot | None:
        """The slot in its next phase, with other fields changed too; None when it is gone or may not go there
        (any more): then somebody else has decided about it.

        Raises StorageError, and the slot stays as it was; but `dead` needs no file: a slot that nobody wrote
        down as dead is found dead again.
        """
        with self._lock:
            now = self._slots.get(slot)
            if now is None or to not in _NEXT[now.phase]:
                return None
            moved: Slot = dataclasses.replace(now, phase=to, **changes)
            try:
                self._write(moved)
            except StorageError as error:
                if to is not Phase.DEAD:
                    raise
                log.warning("slot %s: %s", slot, error)
            self._slots[slot] = moved
            return moved

    def retire(self, slot: str) -> Slot | None:
        """The slot, dead, if it was nobody's; None when a user has it, or it is gone or dead already."""
        with self._lock:
            now = self._slots.get(slot)
            if now is None or now.phase not in WAITING:
                return None
            return self.move(slot, Phase.DEAD)

    def drop(self, slot: str) -> None:
        """Nothing is left of it."""
        with self._lock:
            self._slots.pop(slot, None)

    def adopt(self, slot: str) -> Slot | None:
        """What an earlier agent left, out of its state file; None when there is no file that can be read.

        A slot that was becoming somebody's server is dead: how far it got is not known, and the hub has had
        no answer.
        """
        with self._lock:
            found = self._slots.get(slot) or self._read(slot)
            if found is None:
                return None
            if slot not in self._slots and found.phase is Phase.CLAIMING:
                found = dataclasses.replace(found, phase=Phase.DEAD)
            self._slots[slot] = found
            return found

    def adopt_unknown(self, slot: Slot) -> None:
        """A slot without a state file, in the phase that the caller decides."""
        with self._lock:
            self._slots[slot.id] = slot

    def _first(self, fits: Callable[[Slot], bool]) -> Slot | None:
        return next((slot for slot in self._slots.values() if fits(slot)), None)

    def _path(self, slot: str) -> Path:
        return self._folder / slot / STATE_FILE

    def _write(self, slot: Slot) -> None:
        self._files.write(self._path(slot.id), _STATE.dumps(slot), mode=0o600)

    def _read(self, slot: str) -> Slot | None:
        try:
            state = self._files.read(self._path(slot), max_bytes=_MAX_BYTES)
            return None if state is None else _from_json(state.content, slot)
        except (StorageError, ValueError) as error:
            log.warning("slot %s: its state cannot be read: %s", slot, error)
            return None


def _fits(slot: Slot, server: str, recipe: str) -> bool:
    return slot.phase is Phase.READY and (slot.server, slot.recipe) == (server, recipe)


def _is_of(slot: Slot, user: str, server_name: str) -> bool:
    return slot.phase in TAKEN and (slot.user, slot.server_name) == (user, server_name)


def _age(slot: Slot) -> tuple[float, str]:
    return slot.ready_s or slot.created_s, slot.id


def _from_json(content: bytes, slot: str) -> Slot:
    """Raises ValueError for whatever is no state of this slot."""
    found = _STATE.loads(content)
    if found.id != slot:
        raise ValueError("not a state file of this slot")
    return found
