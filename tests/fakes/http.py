"""A network that tests script."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from hubagent.errors import TemporaryError
from hubagent.ports import HttpAnswer
from tests.fakes.clock import ManualClock


@dataclass(frozen=True, slots=True)
class Request:
    """One call of the probe."""

    method: str
    url: str
    headers: Mapping[str, str] = field(default_factory=dict)
    connect_to: str | None = None
    body: bytes | None = None


class FakeHttpProbe:
    """`ports.HttpProbe`. A URL answers what was scripted for it, and refuses connections otherwise.

    `serve(url, status, body)` or `serve_by(url, function of the Request)`, optionally for one method only;
    `refuse` and `hang` take the answer away. `journal` holds the Requests.
    """

    def __init__(self, *, clock: ManualClock | None = None) -> None:
        self.clock = clock or ManualClock()
        self.journal: list[Request] = []
        self._handlers: dict[tuple[str, str], Callable[[Request], HttpAnswer]] = {}
        self._hanging: set[str] = set()

    def request(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        connect_to: str | None = None,
        timeout_s: float = 2.0,
    ) -> HttpAnswer:
        request = Request(method, url, dict(headers or {}), connect_to, body)
        self.journal.append(request)
        if url in self._hanging:
            self.clock.advance(timeout_s)
            raise TemporaryError(f"{method} {url}: no answer within {timeout_s:g} s")
        handler = self._handlers.get((method, url)) or self._handlers.get(("", url))
        if handler is None:
            raise TemporaryError(f"{method} {url}: Connection refused")
        return handler(request)

    def serve(
        self,
        url: str,
        status: int = 200,
        body: bytes | str = b"",
        *,
        certificate_sha256: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        method: str = "",
    ) -> None:
        content = body.encode() if isinstance(body, str) else body
        answer = HttpAnswer(status, content, certificate_sha256, headers)
        self.serve_by(url, lambda _request: answer, method=method)

    def serve_by(self, url: str, handler: Callable[[Request], HttpAnswer], *, method: str = "") -> None:
        self._hanging.discard(url)
        self._handlers[method, url] = handler

    def refuse(self, url: str) -> None:
        """Nobody listens there any more."""
        self._hanging.discard(url)
        self._handlers = {key: handler for key, handler in self._handlers.items() if key[1] != url}

    def hang(self, url: str) -> None:
        """The connection is taken, and nothing comes until the caller's deadline."""
        self._hanging.add(url)
