"""One HTTP/1.1 connection with hard limits, as an asyncio protocol.

A connection costs one fixed buffer and one timer, never a thread, so a client that sends its header byte by
byte, or never reads its answer, holds nothing that another client needs. The parts of HTTP that a scrape or
a browser does not need are refused: request bodies, other methods than GET and HEAD, heads over 8 KiB.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from http import HTTPStatus
from typing import Final, cast

HEAD_BYTES: Final = 8192
"""Most that a request line and its headers may take together."""

_END_OF_HEAD: Final = b"\r\n\r\n"
_METHODS: Final = ("GET", "HEAD")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a client may take, in seconds."""

    head_s: float = 5.0  # from the first byte of a request (or the connection) to the end of its head
    idle_s: float = 30.0  # between two requests
    write_s: float = 10.0  # to take the whole answer


@dataclass(frozen=True, slots=True)
class Request:
    method: str  # GET or HEAD
    path: str  # without query
    headers: Mapping[str, str]  # names in lower case; of a repeated header the last one
    keep_alive: bool


@dataclass(frozen=True, slots=True)
class Answer:
    status: HTTPStatus
    body: bytes
    content_type: str = "text/plain; charset=utf-8"
    headers: tuple[tuple[str, str], ...] = ()


class RequestError(Exception):
    """The request cannot be served; the connection is closed after the answer."""

    def __init__(self, status: HTTPStatus, message: str, headers: tuple[tuple[str, str], ...] = ()) -> None:
        super().__init__(message)
        self.answer = Answer(status, f"{message}\n".encode(), headers=headers)


def parse_head(head: bytes) -> Request:
    """Parse a request line and headers (RFC 9112), without the empty line that ends them.

    Raises RequestError for everything but a GET or HEAD without a body.
    """
    lines = head.decode("latin-1").split("\r\n")
    words = lines[0].split(" ")
    if len(words) != 3 or not all(words):
        raise RequestError(HTTPStatus.BAD_REQUEST, "This is not an HTTP request line.")
    method, target, version = words
    if version not in ("HTTP/1.1", "HTTP/1.0"):
        raise RequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED, "Use HTTP/1.1.")
    headers: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        if not colon or not name or name != name.strip():
            raise RequestError(HTTPStatus.BAD_REQUEST, "A header is not `name: value`.")
        headers[name.lower()] = value.strip()
    if method not in _METHODS:
        raise RequestError(
            HTTPStatus.METHOD_NOT_ALLOWED, "Only GET and HEAD are served.", (("Allow", ", ".join(_METHODS)),)
        )
    if "transfer-encoding" in headers or headers.get("content-length", "0") != "0":
        # A body that is not read would be taken for the next request on this connection.
        raise RequestError(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "Requests must not have a body.")
    wishes = {word.strip().lower() for word in headers.get("connection", "").split(",")}
    keep_alive = "keep-alive" in wishes if version == "HTTP/1.0" else "close" not in wishes
    return Request(method, target.partition("?")[0], headers, keep_alive)


def serialise(answer: Answer, *, head_only: bool, keep_alive: bool) -> bytes:
    """The bytes of an answer (RFC 9112)."""
    headers = [
        ("Date", formatdate(usegmt=True)),
        ("Content-Type", answer.content_type),
        ("Content-Length", str(len(answer.body))),
        ("Cache-Control", "no-store"),
        ("X-Content-Type-Options", "nosniff"),
        ("Connection", "keep-alive" if keep_alive else "close"),
        *answer.headers,
    ]
    lines = [f"HTTP/1.1 {answer.status.value} {answer.status.phrase}", *(f"{k}: {v}" for k, v in headers)]
    head = "\r\n".join(lines).encode("latin-1") + _END_OF_HEAD
    return head if head_only else head + answer.body


class Connection(asyncio.BufferedProtocol):
    """Reads one request at a time, has it answered, and keeps to the limits.

    `respond` makes the answer; `refused` is told the answer to what was not a proper request.
    """

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        respond: Callable[[Request], Awaitable[Answer]],
        refused: Callable[[Answer], None],
        limits: Limits,
    ) -> None:
        self.closed: asyncio.Future[None] = loop.create_future()
        self.since = loop.time()
        """When it was accepted, or last answered."""
        self._loop = loop
        self._respond = respond
        self._refused = refused
        self._limits = limits
        self._buffer = bytearray(HEAD_BYTES)
        self._used = 0
        self._transport: asyncio.Transport | None = None
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._keep_alive = True
        self._flushed = True
        self._answered = False

    @property
    def busy(self) -> bool:
        """A whole request has been read and is not yet answered."""
        return self._task is not None

    def finish(self) -> None:
        """Close at once when idle between two requests, otherwise after the next answer."""
        self._keep_alive = False
        if self._transport is not None and self._answered and not self.busy and not self._used:
            self._transport.close()

    # what asyncio calls

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        # pause_writing() then means "not all is sent yet". Not 0, which TLS takes as "always paused".
        self._transport.set_write_buffer_limits(high=1, low=0)
        self._arm(self._limits.head_s)

    def get_buffer(self, sizehint: int) -> memoryview:
        return memoryview(self._buffer)[self._used :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._used == 0:
            self._arm(self._limits.head_s)
        self._used += nbytes
        self._advance()

    def pause_writing(self) -> None:
        self._flushed = False

    def resume_writing(self) -> None:
        self._flushed = True
        if not self.busy:
            self._await_request()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        if self._task is not None:
            self._task.cancel()
        if not self.closed.done():
            self.closed.set_result(None)

    # requests

    def _advance(self) -> None:
        end = self._buffer.find(_END_OF_HEAD, 0, self._used)
        if end < 0:
            if self._used == len(self._buffer):
                status = HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE
                self._refuse(RequestError(status, f"Request line and headers exceed {HEAD_BYTES} bytes."))
            return
        head = bytes(self._buffer[:end])
        rest = self._buffer[end + len(_END_OF_HEAD) : self._used]
        self._buffer[: len(rest)] = rest
        self._used = len(rest)
        try:
            request = parse_head(head)
        except RequestError as error:
            self._refuse(error)
            return
        self._open.pause_reading()
        self._disarm()
        self._task = self._loop.create_task(self._answer(request))

    async def _answer(self, request: Request) -> None:
        try:
            answer = await self._respond(request)
        except Exception:
            log.exception("answering %s failed", request.path)
            answer = Answer(
                HTTPStatus.INTERNAL_SERVER_ERROR, b"This is a fault of hubagent; see its journal.\n"
            )
        self._task = None
        self._keep_alive = self._keep_alive and request.keep_alive
        self._send(answer, head_only=request.method == "HEAD")

    def _refuse(self, error: RequestError) -> None:
        self._open.pause_reading()
        self._keep_alive = False
        self._refused(error.answer)
        self._send(error.answer, head_only=False)

    def _send(self, answer: Answer, *, head_only: bool) -> None:
        self.since = self._loop.time()
        self._answered = True
        self._arm(self._limits.write_s)
        self._open.write(serialise(answer, head_only=head_only, keep_alive=self._keep_alive))
        if not self._keep_alive:
            self._open.close()  # after what is written; the timer bounds it
        elif self._flushed:
            self._await_request()

    def _await_request(self) -> None:
        if self._open.is_closing():
            return
        self._arm(self._limits.head_s if self._used else self._limits.idle_s)
        self._open.resume_reading()
        if self._used:  # the next request came with the last one
            self._advance()

    # time

    def _arm(self, seconds: float) -> None:
        self._disarm()
        self._timer = self._loop.call_later(seconds, self._expired)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        if self._used and self._flushed and not self._open.is_closing():
            self._refuse(RequestError(HTTPStatus.REQUEST_TIMEOUT, "The request took too long to arrive."))
        else:
            self._open.abort()

    @property
    def _open(self) -> asyncio.Transport:
        if self._transport is None:
            raise RuntimeError("used before connection_made")
        return self._transport
