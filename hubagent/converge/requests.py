"""What the command line asks of the running agent about the configuration."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from hubagent.codec import Codec, CodecError
from hubagent.converge.intent import Order
from hubagent.layout import Layout
from hubagent.mailbox import Mailbox
from hubagent.ports import FileStore


@dataclass(frozen=True, slots=True)
class Request:
    """An order with the name that its answer goes by."""

    id: str
    order: Order


_ORDER: Final = Codec(Order, strict=True)  # an order that is not wholly understood is not carried out


class Requests:
    """Both ends of the exchange. Methods may raise StorageError."""

    def __init__(self, files: FileStore, layout: Layout) -> None:
        self._mailbox = Mailbox(files, layout.run / "requests")

    def send(self, request: Request) -> None:
        self._mailbox.send(request.id, _ORDER.plain(request.order))

    def waiting(self) -> tuple[Request, ...]:
        """Those that nobody has taken; taking removes them. What cannot be read is dropped."""
        found = (_parse(name, content) for name, content in self._mailbox.take())
        return tuple(request for request in found if request is not None)

    def answer(self, request: Request, value: dict[str, Any]) -> None:
        self._mailbox.answer(request.id, value)

    def answered(self, request: Request) -> dict[str, Any] | None:
        """The answer, once there is one; taking removes it."""
        return self._mailbox.answered(request.id)


def _parse(name: str, content: bytes) -> Request | None:
    try:
        return Request(name, _ORDER.loads(content))
    except CodecError:
        return None
