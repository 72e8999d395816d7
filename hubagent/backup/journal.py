"""What an interrupted restore has exchanged already, so that running it again goes on from there."""

from __future__ import annotations

import json
from typing import Final

from hubagent.backup import places
from hubagent.layout import Layout
from hubagent.ports import FileStore

_MAX_BYTES: Final = 16 * 1024**2


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
            value = json.loads(state.content) if state is not None else {}
            if value.get("backup") != self._backup:
                return False
            if hub_runs:
                return bool(value["complete"])  # then all is done once more
            self._done = [str(part) for part in value["done"]]
        except (ValueError, KeyError, TypeError, AttributeError):
            return False
        return True

    def _write(self) -> None:
        content = json.dumps(
            {"backup": self._backup, "done": self._done, "complete": self._is_complete}
        ).encode()
        self._files.write(self._path, content, mode=0o600)
