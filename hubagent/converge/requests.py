"""How the command line asks the running agent: a file in /run/hubagent/requests, then SIGHUP.

The folder is root's alone (0700), so that nothing else can ask. An answer is a file beside it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hubagent.converge.look import Order
from hubagent.layout import Layout
from hubagent.ports import FileStore
from hubagent.state.json_object import json_object

_MAX_BYTES = 4 * 1024**2


@dataclass(frozen=True, slots=True)
class Request:
    """An order with the name that its answer goes by."""

    id: str
    order: Order


class Requests:
    """Both ends of the exchange. Methods may raise StorageError."""

    def __init__(self, files: FileStore, layout: Layout) -> None:
        self._files = files
        self._folder = layout.run / "requests"
        self._is_prepared = False

    def send(self, request: Request) -> None:
        value = {
            "allow_disruption": request.order.allow_disruption,
            "rollback_to": request.order.rollback_to,
            "retry": request.order.retry,
            "new_tokens": request.order.new_tokens,
        }
        self._files.write(self._path(request.id, "order"), json.dumps(value).encode(), mode=0o600)

    def waiting(self) -> tuple[Request, ...]:
        """Orders that nobody has taken; taking removes them. What cannot be read is dropped. The first call
        begins with an empty folder: nobody waits for an answer from before."""
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
            request = _parse(name.removesuffix(".order.json"), state.content if state else b"")
            if request is not None:
                found.append(request)
        return tuple(found)

    def answer(self, request: Request, value: dict[str, Any]) -> None:
        self._files.write(self._path(request.id, "answer"), json.dumps(value).encode(), mode=0o600)

    def answered(self, request: Request) -> dict[str, Any] | None:
        """The answer, once there is one; taking removes it."""
        path = self._path(request.id, "answer")
        state = self._files.read(path, max_bytes=_MAX_BYTES)
        if state is None:
            return None
        self._files.remove(path)
        return json_object(state.content)

    def _path(self, request: str, kind: str) -> Path:
        return self._folder / f"{request}.{kind}.json"


def _parse(name: str, content: bytes) -> Request | None:
    try:
        value = json_object(content)
        to = value["rollback_to"]
        return Request(
            name,
            Order(
                allow_disruption=value["allow_disruption"] is True,
                rollback_to=None if to is None else int(to),
                retry=value["retry"] is True,
                new_tokens=value.get("new_tokens") is True,
            ),
        )
    except (ValueError, KeyError, TypeError):
        return None
