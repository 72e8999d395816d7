"""How `hubagent homes` asks the running agent: as other commands do (converge/requests.py), in a folder of its own.

The agent has the only hand on homes while it runs, since it starts the servers that would have them.
"""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent.layout import Layout
from hubagent.ports import FileStore
from hubagent.state.json_object import json_object

_MAX_BYTES: Final = 64 * 1024


class Verb(enum.Enum):
    KEEP = "keep"
    ARCHIVE = "archive"
    SET_ASIDE = "set-aside"


@dataclass(frozen=True, slots=True)
class Decision:
    """`id` is what the answer goes by."""

    id: str
    verb: Verb
    name: str  # a user or a volume


class Outcome(enum.Enum):
    DONE = "done"
    USAGE = "usage"  # what was asked for cannot be
    BUSY = "busy"  # not now
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Answer:
    outcome: Outcome
    words: tuple[str, ...]


class Decisions:
    """Both ends of the exchange. Methods may raise StorageError."""

    def __init__(self, files: FileStore, layout: Layout) -> None:
        self._files = files
        self._folder = layout.run / "homes-requests"
        self._is_prepared = False

    def send(self, decision: Decision) -> None:
        value = {"verb": decision.verb.value, "name": decision.name}
        self._files.write(self._path(decision.id, "order"), json.dumps(value).encode(), mode=0o600)

    def waiting(self) -> tuple[Decision, ...]:
        """Those that nobody has taken; taking removes them. What cannot be read is dropped. The first call begins
        with an empty folder: nobody waits for an answer from before."""
        if not self._is_prepared:
            self._files.remove(self._folder)
            self._files.make_dir(self._folder, mode=0o700)
            self._is_prepared = True
        found = []
        for name in self._files.list_dir(self._folder):
            if not name.endswith(".order.json"):
                continue
            state = self._files.read(self._folder / name, max_bytes=_MAX_BYTES)
            self._files.remove(self._folder / name)
            decision = _parse(name.removesuffix(".order.json"), state.content if state else b"")
            if decision is not None:
                found.append(decision)
        return tuple(found)

    def answer(self, decision: Decision, answer: Answer) -> None:
        value = {"outcome": answer.outcome.value, "words": list(answer.words)}
        self._files.write(self._path(decision.id, "answer"), json.dumps(value).encode(), mode=0o600)

    def answered(self, decision: Decision) -> Answer | None:
        """The answer, once there is one; taking removes it."""
        path = self._path(decision.id, "answer")
        state = self._files.read(path, max_bytes=_MAX_BYTES)
        if state is None:
            return None
        self._files.remove(path)
        value = json_object(state.content)
        return Answer(Outcome(value["outcome"]), tuple(map(str, value["words"])))

    def _path(self, decision: str, kind: str) -> Path:
        return self._folder / f"{decision}.{kind}.json"


def _parse(name: str, content: bytes) -> Decision | None:
    try:
        value = json_object(content)
        return Decision(name, Verb(value["verb"]), str(value["name"]))
    except (ValueError, KeyError, TypeError):
        return None
