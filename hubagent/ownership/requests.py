"""What `hubagent homes` asks of the running agent.

The agent has the only hand on homes while it runs, since it starts the servers that would have them.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

from hubagent.codec import Codec, CodecError, json_object
from hubagent.layout import Layout
from hubagent.mailbox import Mailbox
from hubagent.ports import FileStore


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


_DECISION: Final = Codec(Decision, strict=True)
_ANSWER: Final = Codec(Answer, strict=False)


class Decisions:
    """Both ends of the exchange. Methods may raise StorageError."""

    def __init__(self, files: FileStore, layout: Layout) -> None:
        self._mailbox = Mailbox(files, layout.run / "homes-requests")

    def send(self, decision: Decision) -> None:
        self._mailbox.send(decision.id, _DECISION.plain(decision))

    def waiting(self) -> tuple[Decision, ...]:
        """Those that nobody has taken; taking removes them. What cannot be read is dropped."""
        found = (_parse(name, content) for name, content in self._mailbox.take())
        return tuple(decision for decision in found if decision is not None)

    def answer(self, decision: Decision, answer: Answer) -> None:
        self._mailbox.answer(decision.id, _ANSWER.plain(answer))

    def answered(self, decision: Decision) -> Answer | None:
        """The answer, once there is one; taking removes it."""
        value = self._mailbox.answered(decision.id)
        return None if value is None else _ANSWER.typed(value)


def _parse(name: str, content: bytes) -> Decision | None:
    try:
        return _DECISION.typed({**json_object(content), "id": name})
    except CodecError:
        return None
