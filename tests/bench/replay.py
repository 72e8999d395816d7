"""Clients that repeat a recording, each with one connection of HTTP/2, cookies and an empty cache of its own, as so many
laptops: what a browser computed between two requests is waited for, and takes no processor here.

`python -m tests.bench.replay` reads what to do from standard input and prints what came of it, in JSON, so that it can be
started in another network.
"""

from __future__ import annotations

import gzip
import heapq
import json
import queue
import ssl
import sys
import threading
import time
import uuid
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlsplit

import pycurl
import websocket

from tests.bench.recording import Recording, Step

_POLL_S: Final = 0.01
_ANSWER_S: Final = 300
_SAME_ORIGIN: Final = {"Sec-Fetch-Site": "same-origin", "Sec-Fetch-Mode": "same-origin"}
_COOKIE_PATH, _COOKIE_NAME, _COOKIE_VALUE = 2, 5, 6  # columns of Netscape's format (curl, COOKIELIST)


@dataclass(frozen=True)
class Task:
    """Of one client: `begins_s` after all are ready, somebody's click."""

    name: str
    cookies: tuple[str, ...]  # as Set-Cookie headers
    begins_s: float


@dataclass(frozen=True)
class Result:
    """Seconds from the click."""

    name: str
    usable_s: float
    done_s: float
    bytes: int
    requests: int
    connections: int


@dataclass
class _Asked:
    """A request for a step, or for what is waited for until `then` (an address) can be asked."""

    number: int
    then: str | None = None
    body: BytesIO = field(default_factory=BytesIO)


class _Client:
    def __init__(self, base: str, certificate: str, recording: Recording, task: Task) -> None:
        self._base = base
        self._certificate = certificate
        self._recording = recording
        self._task = task
        self._renamed = {recording.person: task.name}
        self._multi = pycurl.CurlMulti()
        self._multi.setopt(pycurl.M_PIPELINING, pycurl.PIPE_MULTIPLEX)
        self._share = pycurl.CurlShare()
        self._share.setopt(pycurl.SH_SHARE, pycurl.LOCK_DATA_COOKIE)
        self._asked: dict[pycurl.Curl, _Asked] = {}
        self._told: queue.SimpleQueue[int] = queue.SimpleQueue()  # steps of websockets that have ended
        self._socket: websocket.WebSocket | None = None
        self._working = 0  # threads of websockets
        self._errors: list[BaseException] = []
        self._bytes = self._requests = self._connections = 0

    def run(self, begins_s: float) -> Result:
        steps = self._recording.steps
        missing = {n: set(step.after) for n, step in enumerate(steps)}
        ended: dict[int, float] = {}
        due = [(begins_s + step.gap_s, n) for n, step in enumerate(steps) if not step.after]
        heapq.heapify(due)
        while len(ended) < len(steps):
            now_s = time.monotonic()
            over: list[int] = []
            while due and due[0][0] <= now_s:
                at_s, number = heapq.heappop(due)
                if self._begin(number):
                    ended[number] = at_s
                    over.append(number)
            over += self._ended()
            if self._errors:
                raise self._errors[0]
            for number in over:
                ended.setdefault(number, time.monotonic())
                for other, wanted in missing.items():
                    if number in wanted:
                        wanted.remove(number)
                        if not wanted:
                            last_s = max(ended[one] for one in steps[other].after)
                            heapq.heappush(due, (last_s + steps[other].gap_s, other))
            if not over:
                self._wait(due)
        marks = {step.kind: ended[n] - begins_s for n, step in enumerate(steps)}
        if self._socket is not None:
            self._socket.close()
        return Result(
            self._task.name,
            marks["usable"],
            marks["done"],
            self._bytes,
            self._requests,
            self._connections,
        )

    def _begin(self, number: int) -> bool:
        """Whether it is over at once."""
        step = self._recording.steps[number]
        if step.kind == "request":
            self._ask(number, step)
            return False
        if step.kind in ("socket", "cell"):
            self._working += 1
            work = self._open_socket if step.kind == "socket" else self._run_cell
            threading.Thread(target=self._aside, args=(work, step, number), daemon=True).start()
            return False
        return True

    def _ended(self) -> list[int]:
        over = []
        self._multi.perform()
        while True:
            more, good, bad = self._multi.info_read()
            over += [number for curl in good if (number := self._answered(curl)) is not None]
            for curl, code, words in bad:
                raise RuntimeError(f"{self._task.name}: {curl.getinfo(pycurl.EFFECTIVE_URL)}: {code} {words}")
            if not more:
                break
        while not self._told.empty():
            self._working -= 1
            over.append(self._told.get())
        return over

    def _wait(self, due: Sequence[tuple[float, int]]) -> None:
        until_s = max(0.0, due[0][0] - time.monotonic()) if due else 1.0
        if self._working:
            until_s = min(until_s, _POLL_S)
        if self._asked:
            own_ms = self._multi.timeout()  # of curl's own work; -1 for none
            self._multi.select(until_s if own_ms < 0 else min(until_s, own_ms / 1000))
        else:
            time.sleep(until_s)

    def _ask(self, number: int, step: Step) -> None:
        headers = {name: self._own(value) for name, value in step.headers.items()}
        curl = self._curl()
        if step.method != "GET":
            curl.setopt(pycurl.CUSTOMREQUEST, step.method)
        if step.body is not None:
            curl.setopt(pycurl.POSTFIELDS, self._own(step.body))
        self._send(curl, self._base + self._own(step.path), headers, _Asked(number))

    def _send(self, curl: pycurl.Curl, address: str, headers: Mapping[str, str], asked: _Asked) -> None:
        own = {"Accept-Encoding": "gzip, deflate, br", "X-XSRFToken": self._xsrf(urlsplit(address).path)}
        curl.setopt(pycurl.URL, address)
        curl.setopt(pycurl.HTTPHEADER, [f"{name}: {value}" for name, value in {**headers, **own}.items()])
        curl.setopt(pycurl.WRITEDATA, asked.body)
        self._asked[curl] = asked
        self._multi.add_handle(curl)
        self._multi.perform()

    def _curl(self) -> pycurl.Curl:
        curl = pycurl.Curl()
        for option, value in (
            (pycurl.SHARE, self._share),
            (pycurl.COOKIEFILE, ""),
            (pycurl.CAINFO, self._certificate),
            (pycurl.SSL_VERIFYHOST, 0),  # an address, whatever name the certificate has
            (pycurl.HTTP_VERSION, pycurl.CURL_HTTP_VERSION_2TLS),
            (pycurl.PIPEWAIT, 1),
            (pycurl.FOLLOWLOCATION, 1),
            (pycurl.NOSIGNAL, 1),
            (pycurl.PROXY, ""),
            (pycurl.TIMEOUT, _ANSWER_S),
        ):
            curl.setopt(option, value)
        return curl

    def _answered(self, curl: pycurl.Curl) -> int | None:
        """The step that has ended; None if it goes on."""
        asked = self._asked.pop(curl)
        step, status = self._recording.steps[asked.number], curl.getinfo(pycurl.RESPONSE_CODE)
        address = curl.getinfo(pycurl.EFFECTIVE_URL)
        self._bytes += int(curl.getinfo(pycurl.SIZE_DOWNLOAD))
        self._requests += 1 + int(curl.getinfo(pycurl.REDIRECT_COUNT))
        self._connections += int(curl.getinfo(pycurl.NUM_CONNECTS))
        self._multi.remove_handle(curl)
        curl.close()
        if asked.then is not None:  # what was waited for has come
            self._send(self._curl(), asked.then, step.headers, _Asked(asked.number))
            return None
        if (
            "/hub/spawn-pending/" in address
        ):  # the page follows these events, and is loaded anew after the last
            progress = f"{self._base}/hub/api/users/{self._task.name}/server/progress"
            self._send(self._curl(), progress, _SAME_ORIGIN, _Asked(asked.number, address))
            return None
        if status != step.status and {status, step.status} != {200, 304}:
            raise RuntimeError(f"{self._task.name}: {address}: {status}, the browser got {step.status}")
        if step.method == "POST" and step.path.split("?")[0].endswith("/api/sessions"):
            made = json.loads(_plain(asked.body.getvalue()))
            self._renamed.update(zip(self._recording.ids, (made["id"], made["kernel"]["id"]), strict=True))
        return asked.number

    def sign_in(self) -> None:
        curl = self._curl()
        for cookie in self._task.cookies:
            curl.setopt(pycurl.COOKIELIST, f"Set-Cookie: {cookie}")
        curl.close()

    def _cookies(self) -> list[tuple[str, str, str]]:
        """Path, name and value of each."""
        curl = self._curl()
        rows = [line.split("\t") for line in curl.getinfo(pycurl.INFO_COOKIELIST)]
        curl.close()
        return [(row[_COOKIE_PATH], row[_COOKIE_NAME], row[_COOKIE_VALUE]) for row in rows]

    def _xsrf(self, path: str) -> str:
        """The token whose cookie is for this path: hub and server each have one."""
        found = [
            (len(own), value)
            for own, name, value in self._cookies()
            if name == "_xsrf" and path.startswith(own)
        ]
        return max(found, default=(0, ""))[1]

    def _own(self, text: str) -> str:
        for recorded, own in self._renamed.items():
            text = text.replace(recorded, own)
        return text

    # -- the kernel

    def _aside(self, work: Any, step: Step, number: int) -> None:
        try:
            work(step)
        except BaseException as error:
            self._errors.append(error)
        self._told.put(number)

    def _open_socket(self, step: Step) -> None:
        address = (self._base + self._own(step.path)).replace("https", "wss", 1)
        cookies = "; ".join(
            f"{name}={value}" for path, name, value in self._cookies() if path.startswith("/user/")
        )
        self._socket = websocket.create_connection(
            address,
            cookie=cookies,
            origin=self._base,
            timeout=_ANSWER_S,
            sslopt={"ca_certs": self._certificate, "check_hostname": False, "cert_reqs": ssl.CERT_REQUIRED},
            http_no_proxy=["*"],
        )
        self._say("kernel_info_request", {}, "kernel_info_reply")

    def _run_cell(self, step: Step) -> None:
        content = {"code": "print(6 * 7)", "silent": False, "store_history": True, "user_expressions": {}}
        self._say("execute_request", {**content, "allow_stdin": False}, "execute_reply")

    def _say(self, kind: str, content: Mapping[str, object], answer: str) -> None:
        assert self._socket is not None
        header = {
            "msg_id": uuid.uuid4().hex,
            "session": uuid.uuid4().hex,
            "username": "",
            "msg_type": kind,
            "version": "5.3",
        }
        message = {"header": header, "parent_header": {}, "metadata": {}, "content": content}
        self._socket.send(json.dumps({**message, "channel": "shell", "buffers": []}))
        while True:
            heard = json.loads(self._socket.recv())
            if heard["msg_type"] == answer and heard["parent_header"].get("msg_id") == header["msg_id"]:
                if heard["content"]["status"] != "ok":
                    raise RuntimeError(f"{self._task.name}: {heard['content']}")
                return


def _plain(body: bytes) -> bytes:
    return gzip.decompress(body) if body.startswith(b"\x1f\x8b") else body


def main() -> None:
    asked = json.load(sys.stdin)
    recording = Recording(
        asked["person"],
        tuple(asked["ids"]),
        tuple(Step(**{**step, "after": tuple(step["after"])}) for step in asked["steps"]),
    )
    tasks = [Task(one["name"], tuple(one["cookies"]), one["begins_s"]) for one in asked["tasks"]]
    clients = [_Client(asked["base"], asked["certificate"], recording, task) for task in tasks]
    for client in clients:
        client.sign_in()
    begun_s = time.monotonic() + 1.0

    def one(client: _Client, task: Task) -> Result:
        time.sleep(max(0.0, begun_s + task.begins_s - time.monotonic()))
        return client.run(begun_s + task.begins_s)

    with ThreadPoolExecutor(len(clients)) as pool:
        results = list(pool.map(one, clients, tasks))
    json.dump([asdict(result) for result in results], sys.stdout)


if __name__ == "__main__":
    main()
