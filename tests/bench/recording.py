"""What one real browser asks for, from the click to what its first cell printed, as steps that other clients can repeat."""

from __future__ import annotations

import base64
import binascii
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import urlsplit

from playwright.sync_api import BrowserContext, Page, Response

NAVIGATION: Final = "Document"
"""CDP, Network.ResourceType."""

_LEFT_OUT: Final = frozenset({"x-xsrftoken", "cookie", "host", "accept-encoding"})
"""Of a browser's headers: each client has its own."""


@dataclass(frozen=True)
class Step:
    """Something that the browser did `gap_s` after the last step of `after` had ended."""

    kind: str  # request, socket (a kernel's), cell (run in it), usable or done (what a person waits for)
    after: tuple[int, ...]
    gap_s: float
    method: str = ""
    path: str = ""  # with its query
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    status: int = 0


@dataclass(frozen=True)
class Recording:
    """`person` is whose name is in paths and bodies, `ids` what the server called the session and its kernel there."""

    person: str
    ids: tuple[str, ...]
    steps: tuple[Step, ...]


@dataclass
class _Seen:
    """One request or websocket, with seconds of the monotonic clock, which Chromium's timestamps are of."""

    kind: str
    begun_s: float
    ended_s: float | None = None
    resource: str = ""
    method: str = ""
    path: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str | None = None
    status: int = 0


class Recorder:
    """Of one page. What a cache had is no request."""

    def __init__(self, context: BrowserContext, page: Page, person: str) -> None:
        self._person = person
        self._seen: dict[str, _Seen] = {}
        self._ids: tuple[str, ...] = ()
        page.on("response", self._answered_session)
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        for event, handler in {
            "requestWillBeSent": self._asked,
            "requestServedFromCache": lambda event: self._seen.pop(event["requestId"], None),
            "responseReceived": self._answered,
            "loadingFinished": self._finished,
            "loadingFailed": lambda event: self._seen.pop(event["requestId"], None),
            "webSocketCreated": self._socket,
            "webSocketFrameSent": self._sent,
            "webSocketFrameReceived": self._received,
        }.items():
            session.on(f"Network.{event}", handler)

    def mark(self, kind: str) -> None:
        """What a person waits for is there."""
        now_s = time.monotonic()
        self._seen[kind] = _Seen(kind, now_s, now_s)

    def recording(self, begun_s: float) -> Recording:
        """All that began after `begun_s`, and before the last mark."""
        last_s = self._seen["done"].begun_s
        ended = [one for one in self._seen.values() if one.ended_s is not None and one.begun_s <= last_s]
        found = sorted(ended, key=lambda one: one.begun_s)
        return Recording(self._person, self._ids, tuple(_step(found, one, begun_s) for one in found))

    def _asked(self, event: Mapping[str, Any]) -> None:
        request, name = event["request"], event["requestId"]
        place = urlsplit(request["url"])
        if place.scheme != "https":
            return
        if "redirectResponse" in event and name in self._seen:  # one step, with all its redirects
            return
        self._seen[name] = _Seen(
            "request",
            event["timestamp"],
            None,
            event.get("type", ""),
            request["method"],
            f"{place.path}?{place.query}" if place.query else place.path,
            {key: value for key, value in request["headers"].items() if key.lower() not in _LEFT_OUT},
            request.get("postData"),
        )

    def _answered(self, event: Mapping[str, Any]) -> None:
        response, name = event["response"], event["requestId"]
        if response.get("fromDiskCache") or response.get("fromPrefetchCache"):
            self._seen.pop(name, None)
        elif name in self._seen:
            self._seen[name].status = response["status"]

    def _finished(self, event: Mapping[str, Any]) -> None:
        if event["requestId"] in self._seen:
            self._seen[event["requestId"]].ended_s = event["timestamp"]

    def _socket(self, event: Mapping[str, Any]) -> None:
        place = urlsplit(event["url"])
        if "/api/kernels/" in place.path:
            self._seen.setdefault("socket", _Seen("socket", time.monotonic(), path=place.path))

    def _sent(self, event: Mapping[str, Any]) -> None:
        if b"execute_request" in _payload(event) and "cell" not in self._seen:
            self._seen["cell"] = _Seen("cell", event["timestamp"])

    def _received(self, event: Mapping[str, Any]) -> None:
        payload = _payload(event)
        if (
            b"kernel_info_reply" in payload
            and (socket := self._seen.get("socket"))
            and socket.ended_s is None
        ):
            socket.ended_s = event["timestamp"]
        if b"execute_reply" in payload and (cell := self._seen.get("cell")) and cell.ended_s is None:
            cell.ended_s = event["timestamp"]

    def _answered_session(self, response: Response) -> None:
        if response.request.method == "POST" and urlsplit(response.url).path.endswith("/api/sessions"):
            made = response.json()
            self._ids = (made["id"], made["kernel"]["id"])


def _step(all_seen: Sequence[_Seen], one: _Seen, begun_s: float) -> Step:
    """It waits for everything that had ended before it began: more than it needs, so that no client is quicker than a
    browser for knowing better."""
    before = [
        (n, each.ended_s)
        for n, each in enumerate(all_seen)
        if each is not one and each.ended_s is not None and each.ended_s <= one.begun_s
    ]
    last_s = max((ended_s for _, ended_s in before), default=begun_s)
    fetch = {
        "Sec-Fetch-Site": "same-origin",
        "Sec-Fetch-Mode": "navigate" if one.resource == NAVIGATION else "cors",
    }
    return Step(
        one.kind,
        tuple(n for n, _ in before),
        max(0.0, one.begun_s - max(last_s, begun_s)),
        one.method,
        one.path,
        {**one.headers, **fetch},
        one.body,
        one.status,
    )


def _payload(event: Mapping[str, Any]) -> bytes:
    """Text comes as it is, anything else in base64 (CDP, Network.WebSocketFrame)."""
    frame = event["response"]
    data: str = frame["payloadData"]
    if frame["opcode"] == 1:
        return data.encode()
    try:
        return base64.b64decode(data)
    except binascii.Error:
        return b""
