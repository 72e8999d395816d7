"""How the command line asks the running agent: a file in a folder below /run/hubagent, then SIGHUP.

The folder is root's alone (0700), so that nothing else can ask. An answer is a file beside the order.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hubagent.codec import json_object
from hubagent.ports import FileStore

_MAX_BYTES: Final = 4 * 1024**2
_ORDER: Final = ".order.json"


class Mailbox:
    """Both ends of the exchange; the answer to an order goes by its name. Methods may raise StorageError."""

    def __init__(self, files: FileStore, folder: Path) -> None:
        self._files = files
        self._folder = folder
        self._is_prepared = False

    def send(self, name: str, value: Mapping[str, Any]) -> None:
        self._write(f"{name}{_ORDER}", value)

    def take(self) -> tuple[tuple[str, bytes], ...]:
        """Orders that nobody has taken, by their name; taking removes them. The first call begins with an empty folder:
        nobody waits for an answer from before."""
        if not self._is_prepared:
            self._files.remove(self._folder)
            self._files.make_dir(self._folder, mode=0o700)
            self._is_prepared = True
        found = []
        for file in self._files.list_dir(self._folder):
            if file.endswith(_ORDER):
                state = self._files.read(self._folder / file, max_bytes=_MAX_BYTES)
                self._files.remove(self._folder / file)
                found.append((file.removesuffix(_ORDER), state.content if state else b""))
        return tuple(found)

    def answer(self, name: str, value: Mapping[str, Any]) -> None:
        self._write(_answer(name), value)

    def answered(self, name: str) -> dict[str, Any] | None:
        """The answer, once there is one; taking removes it."""
        path = self._folder / _answer(name)
        state = self._files.read(path, max_bytes=_MAX_BYTES)
        if state is None:
            return None
        self._files.remove(path)
        return json_object(state.content)

    def _write(self, file: str, value: Mapping[str, Any]) -> None:
        self._files.write(self._folder / file, json.dumps(value).encode(), mode=0o600)


def _answer(name: str) -> str:
    return f"{name}.answer.json"
