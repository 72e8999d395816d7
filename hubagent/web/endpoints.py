"""What is served under which path: a function from a request to an answer, without sockets."""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import Final

from hubagent.state.status_json import to_json, without_people
from hubagent.web.http_connection import Answer, Request
from hubagent.web.metrics import CONTENT_TYPE, Metrics
from hubagent.web.page import StatusPage

PATHS: Final = ("/", "/metrics", "/healthz", "/readyz", "/status.json")
OTHER: Final = "other"
"""Stands for every unknown path in metrics."""

_HTML: Final = "text/html; charset=utf-8"
_GZIP_BYTES: Final = 1024  # smaller answers fit in one packet anyway


class Endpoints:
    """Answers from the cached Status, so it answers whatever else is down.

    Names of users and containers are left out: on 127.0.0.1 every local account can read this.
    """

    def __init__(
        self,
        metrics: Metrics,
        page: StatusPage,
        *,
        stalled_after_s: float = 120.0,
        now: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        """`stalled_after_s`: without `alive` for so long, /healthz says that the loop hangs."""
        self._metrics = metrics
        self._page = page
        self._stalled_after_s = stalled_after_s
        self._now = now
        self._monotonic = monotonic
        self._alive_at = monotonic()

    def alive(self) -> None:
        """The main loop makes progress. To be called wherever systemd's watchdog is fed."""
        self._alive_at = self._monotonic()

    def answer(self, request: Request) -> Answer:
        match request.path:
            case "/":
                status = self._metrics.status
                html = self._page.render(without_people(status) if status else None, now_s=self._now())
                return _compressed(request, html.encode("utf-8", "replace"), _HTML, self._page.headers)
            case "/metrics":
                return _compressed(request, self._metrics.exposition(), CONTENT_TYPE)
            case "/healthz":
                return self._healthz()
            case "/readyz":
                return self._readyz()
            case "/status.json":
                return self._status_json(request)
            case _:
                text = f"Not found. Available: {' '.join(PATHS)}\n"
                return Answer(HTTPStatus.NOT_FOUND, text.encode())

    def _healthz(self) -> Answer:
        silence_s = self._monotonic() - self._alive_at
        if silence_s > self._stalled_after_s:
            text = f"The agent's loop has made no progress for {silence_s:.0f} s.\n"
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, text.encode())
        return Answer(HTTPStatus.OK, b"ok\n")

    def _readyz(self) -> Answer:
        status = self._metrics.status
        if status is None:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"The agent has not checked the machine yet.\n")
        reasons = [f"{problem.reason.value}: {problem.message}" for problem in status.problems]
        if status.generation is None:
            reasons.append("No generation is in force.")
        if reasons:
            text = "\n".join(reasons) + "\n"
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, text.encode("utf-8", "replace"))
        return Answer(HTTPStatus.OK, b"ok\n")

    def _status_json(self, request: Request) -> Answer:
        status = self._metrics.status
        if status is None:
            return Answer(HTTPStatus.SERVICE_UNAVAILABLE, b"null\n", "application/json")
        text = json.dumps(to_json(without_people(status)), indent=2) + "\n"
        return _compressed(request, text.encode(), "application/json")


def _compressed(
    request: Request, body: bytes, content_type: str, headers: tuple[tuple[str, str], ...] = ()
) -> Answer:
    headers = (*headers, ("Vary", "Accept-Encoding"))
    if len(body) >= _GZIP_BYTES and accepts_gzip(request.headers.get("accept-encoding", "")):
        body = gzip.compress(body, compresslevel=4, mtime=0)
        headers = (*headers, ("Content-Encoding", "gzip"))
    return Answer(HTTPStatus.OK, body, content_type, headers)


def accepts_gzip(header: str) -> bool:
    """Whether an Accept-Encoding header (RFC 9110, 12.5.3) names gzip without refusing it (`q=0`)."""
    for item in header.split(","):
        coding, _, parameter = item.partition(";")
        if coding.strip().lower() in ("gzip", "x-gzip"):
            weight = parameter.replace(" ", "").removeprefix("q=")
            return weight.strip("0.") != "" or weight == ""
    return False
