"""What an interrupted restore has exchanged already, so that running it again goes on from there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hubagent.backup import places
from hubagent.codec import Codec, CodecError
from hubagent.layout import Layout
from hubagent.ports import FileStore

_MAX_BYTES: Final = 16 * 1024**2


@dataclass(frozen=True, slots=True)
class _Progress:
    backup: str  # its manifest's SHA-256
    done: tuple[str, ...] = ()
    complete: bool = False


_PROGRESS: Final = Codec(_Progress, strict=False)


class Journal:
    """Of the restore of one backup, which is known by its manifest's SHA-256. Raises StorageError."""

    def __init__(self, files: FileStore, layout: Layout, backup: str, *, hub_runs: bool) -> None:
        """`hub_runs`: somebody has started it since, so what is there may be somebody's work."""
        self._files = files
        self._path = places.journal(layout)
        self._backup = backup
        self._done: list[str] = []
        self._is_complete = False
        self.is_open = self._read(hub_runs=hub_runs)
        """A restore of this very backup was interrupted while it exchanged things, or just before its end."""

    def is_done(self, part: str) -> bool:
        return part in self._done

    def begin(self) -> None:
        self._write()

    def done(self, part: str) -> None:
        self._done.append(part)
        self._write()

    def complete(self) -> None:
        """All is exchanged; what follows starts the hub."""
        self._is_complete = True
        self._write()

    def end(self) -> None:
        self._files.remove(self._path)

    def _read(self, *, hub_runs: bool) -> bool:
        state = self._files.read(self._path, max_bytes=_MAX_BYTES)
        try:
            found = _PROGRESS.loads(state.content) if state is not None else _Progress("")
        except CodecError:
            return False
        if found.backup != self._backup:
            return False
        if hub_runs:
            return found.complete  # then all is done once more
        self._done = list(found.done)
        return True

    def _write(self) -> None:
        progress = _Progress(self._backup, tuple(self._done), self._is_complete)
        self._files.write(self._path, _PROGRESS.dumps(progress), mode=0o600)
