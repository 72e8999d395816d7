"""What 20 reloads in 20 s cost those who are connected: hubagent's nginx files against a configuration by hand.

    build/venv/bin/python tests/bench/nginx_reload.py

Loopback only, about 80 s. Writes build/bench/nginx_reload.json and prints a table; ends with status 1 when a bar is
missed. All sides have the same clients, the same server behind and the same nginx (and once more the newest nginx,
whose keepalive_min_timeout only hubagent's file uses). Each reload changes `client_max_body_size`.
"""

from __future__ import annotations

import asyncio
import json
import math
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import aiohttp
from aiohttp import web

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from tests.nginx.front import (  # noqa: E402
    HOST,
    Front,
    Pair,
    free_ports,
    front_in_own_folder,
    make_pair,
    site_in,
    versions_of,
    wait_for,
)
from tests.nginx.tools import DEBIAN_NGINX, newest_nginx  # noqa: E402

RELOADS = 20
PERIOD_S = 1.0
KEEP_ALIVE_CLIENTS = 30
THINK_S = 0.02
NEW_CONNECTION_CLIENTS = 4
WEBSOCKETS = 20
FRAME_EVERY_S = 0.25
ANSWER_DEADLINE_S = 10.0

REQUEST = f"GET /user/ann/api/status HTTP/1.1\r\nHost: {HOST}\r\n".encode()
BY_HAND = """
map $http_upgrade $connection_upgrade {{ default upgrade; '' close; }}
server {{
    listen {port} ssl;
    server_name {host};
    ssl_certificate {certificate};
    ssl_certificate_key {key};
    client_max_body_size {size}m;
    access_log off;
    location / {{
        proxy_pass http://127.0.0.1:{behind};
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-Proto $scheme;
        proxy_set_header Upgrade $http_upgrade;
        proxy_set_header Connection $connection_upgrade;
        proxy_buffering off;
        proxy_read_timeout 1d;
    }}
}}
"""


@dataclass
class Counts:
    """What the clients of one side saw. Times in seconds."""

    keep_alive_ok: int = 0
    keep_alive_lost: int = 0  # the connection ended after the request was sent, before any byte of the answer
    keep_alive_truncated: int = 0
    keep_alive_closed_idle: int = 0  # noticed before a request was sent: costs nobody anything
    new_ok: int = 0
    new_failed: int = 0
    websockets_ended: int = 0
    websocket_largest_gap_s: float = 0.0
    latencies_s: list[float] = field(default_factory=list)

    @property
    def p99_s(self) -> float:
        return sorted(self.latencies_s)[int(len(self.latencies_s) * 0.99)] if self.latencies_s else math.nan


@dataclass
class Side:
    name: str
    nginx: str
    counts: Counts


class Load:
    """The clients of one side; they run until `stop` is called."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.counts = Counts()
        self._running = True
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def stop(self) -> None:
        self._running = False

    async def run(self) -> None:
        clients: list[Coroutine[None, None, None]] = []
        clients += [self._keep_alive() for _ in range(KEEP_ALIVE_CLIENTS)]
        clients += [self._new_connections() for _ in range(NEW_CONNECTION_CLIENTS)]
        async with aiohttp.ClientSession() as session:
            await asyncio.gather(*clients, *(self._websocket(session) for _ in range(WEBSOCKETS)))

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection("127.0.0.1", self.port, ssl=self._tls, server_hostname=HOST)

    @staticmethod
    async def _ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, close: bool) -> None:
        """One exchange. IncompleteReadError tells by `partial` whether anything came."""
        writer.write(REQUEST + (b"Connection: close\r\n\r\n" if close else b"\r\n"))
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200 "):
            raise ConnectionError(head[:40])
        length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        await reader.readexactly(length)

    async def _keep_alive(self) -> None:
        reader, writer = await self._open()
        while self._running:
            await asyncio.sleep(THINK_S)
            if reader.at_eof():
                self.counts.keep_alive_closed_idle += 1
                writer.close()
                reader, writer = await self._open()
            began = time.monotonic()
            try:
                await asyncio.wait_for(self._ask(reader, writer, close=False), ANSWER_DEADLINE_S)
            except asyncio.IncompleteReadError as ended:
                self.counts.keep_alive_truncated += bool(ended.partial)
                self.counts.keep_alive_lost += not ended.partial
                reader, writer = await self._open()
            except (OSError, TimeoutError):
                self.counts.keep_alive_lost += 1
                reader, writer = await self._open()
            else:
                self.counts.keep_alive_ok += 1
                self.counts.latencies_s.append(time.monotonic() - began)
        writer.close()

    async def _new_connections(self) -> None:
        while self._running:
            try:
                reader, writer = await asyncio.wait_for(self._open(), ANSWER_DEADLINE_S)
                await asyncio.wait_for(self._ask(reader, writer, close=True), ANSWER_DEADLINE_S)
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                self.counts.new_failed += 1
            else:
                self.counts.new_ok += 1
                writer.close()
            await asyncio.sleep(THINK_S)

    async def _websocket(self, session: aiohttp.ClientSession) -> None:
        url = f"wss://127.0.0.1:{self.port}/user/ann/api/kernels/1/channels"
        socket = session.ws_connect(url, ssl=self._tls, server_hostname=HOST, headers={"Host": HOST})
        async with socket as websocket:
            while self._running:
                began = time.monotonic()
                try:
                    await websocket.send_str("frame")
                    await websocket.receive_str(timeout=ANSWER_DEADLINE_S)
                except (OSError, TypeError, TimeoutError, aiohttp.ClientError):
                    self.counts.websockets_ended += 1
                    return
                gap = time.monotonic() - began
                self.counts.websocket_largest_gap_s = max(self.counts.websocket_largest_gap_s, gap)
                await asyncio.sleep(FRAME_EVERY_S)


async def measure(port: int, reload: Callable[[int], None]) -> Counts:
    """Clients first; then RELOADS times `reload` (told the number, off the loop), PERIOD_S apart."""
    load = Load(port)
    clients = asyncio.create_task(load.run())
    await asyncio.sleep(PERIOD_S)
    began = time.monotonic()
    for number in range(RELOADS):
        await asyncio.to_thread(reload, number)
        await asyncio.sleep(max(0.0, began + (number + 1) * PERIOD_S - time.monotonic()))
    load.stop()
    await clients
    return load.counts


def ours(program: str, pair: Pair, behind: int) -> Side:
    """hubagent's files, reloaded by signal."""
    with front_in_own_folder(program) as front:
        site = front.start(site_in(front, pair, behind))

        def reload(number: int) -> None:
            front.put(replace(site, max_body_bytes=(100 + number % 2) * 1024**2))
            front.reload()

        return Side("hubagent, SIGHUP", dotted(front), asyncio.run(measure(site.https_port, reload)))


def by_hand(program: str, pair: Pair, behind: int) -> Side:
    """The usual few lines, reloaded by `nginx -s reload`, which is what `systemctl reload nginx` runs."""
    with front_in_own_folder(program) as front:
        site = front.start(site_in(front, pair, behind))  # only to have a master to take over
        (port,) = free_ports(1)
        (front.folder / "modules-enabled/90-hubagent.conf").unlink()

        def reload(number: int) -> None:
            (front.folder / "conf.d/hubagent.conf").write_text(
                BY_HAND.format(
                    port=port,
                    host=HOST,
                    certificate=pair.certificate,
                    key=pair.key,
                    size=100 + number % 2,
                    behind=behind,
                )
            )
            signal = [program, "-p", str(front.folder), "-c", str(front.conf), "-s", "reload"]
            subprocess.run(signal, check=True, capture_output=True)

        old = front.workers()
        reload(0)
        wait_for(lambda: not old & front.workers(), f"port {port} instead of {site.https_port}")
        return Side("by hand, nginx -s reload", dotted(front), asyncio.run(measure(port, reload)))


def dotted(front: Front) -> str:
    return ".".join(map(str, versions_of(front.program)[0]))


@contextmanager
def server_behind() -> Iterator[int]:
    """The server behind nginx, in a process of its own so that it does not share the clients' time."""
    (port,) = free_ports(1)
    process = subprocess.Popen([sys.executable, __file__, "--serve", str(port)])
    try:
        yield port
    finally:
        process.terminate()
        process.wait()


def serve(port: int) -> None:
    async def answer(request: web.Request) -> web.StreamResponse:
        if "Upgrade" not in request.headers:
            return web.json_response({"started": "2026-01-01"})
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for message in websocket:
            await websocket.send_str(message.data)
        return websocket

    application = web.Application()
    application.router.add_get("/{path:.*}", answer)
    web.run_app(application, host="127.0.0.1", port=port, print=lambda *_: None, access_log=None)


def main() -> int:
    folder = ROOT / "build/bench"
    folder.mkdir(parents=True, exist_ok=True)
    with front_in_own_folder() as scratch, server_behind() as behind:
        pair = make_pair(scratch.folder)
        debian, newest = DEBIAN_NGINX, newest_nginx()
        sides = [
            by_hand(debian, pair, behind),
            ours(debian, pair, behind),
            by_hand(newest, pair, behind),
            ours(newest, pair, behind),
        ]
    bars = judge(sides[0].counts, sides[1].counts, sides[3].counts)
    show(sides, bars)
    rows = [
        {"side": side.name, "nginx": side.nginx, "p99_s": side.counts.p99_s}
        | {name: value for name, value in asdict(side.counts).items() if name != "latencies_s"}
        for side in sides
    ]
    conditions = {
        "reloads": RELOADS,
        "period_s": PERIOD_S,
        "keep_alive_clients": KEEP_ALIVE_CLIENTS,
        "think_s": THINK_S,
        "new_connection_clients": NEW_CONNECTION_CLIENTS,
        "websockets": WEBSOCKETS,
    }
    result = {"bench": "nginx_reload", "conditions": conditions, "rows": rows, "bars": bars}
    (folder / "nginx_reload.json").write_text(json.dumps(result, indent=2) + "\n")
    return 0 if all(bar["met"] for bar in bars) else 1


def judge(hand: Counts, debian: Counts, newest: Counts) -> list[dict[str, object]]:
    """The bars. Losses are rare events of chance, so "no higher" allows two standard deviations of a Poisson count."""
    allowed = hand.keep_alive_lost + 2 * math.sqrt(hand.keep_alive_lost + debian.keep_alive_lost)
    ratio = debian.keep_alive_lost / hand.keep_alive_lost if hand.keep_alive_lost else math.inf
    failed = debian.new_failed + newest.new_failed
    ended = debian.websockets_ended + newest.websockets_ended
    return [
        {"bar": "new connections that failed", "is": failed, "allowed": 0, "met": failed == 0},
        {"bar": "websockets that ended", "is": ended, "allowed": 0, "met": ended == 0},
        {
            "bar": f"keep-alive requests lost (by hand {hand.keep_alive_lost}, ratio {ratio:.2f})",
            "is": debian.keep_alive_lost,
            "allowed": round(allowed, 1),
            "met": debian.keep_alive_lost <= allowed,
        },
        {
            "bar": "keep-alive requests lost, nginx with keepalive_min_timeout",
            "is": newest.keep_alive_lost,
            "allowed": 0,
            "met": newest.keep_alive_lost == 0,
        },
    ]


def show(sides: list[Side], bars: list[dict[str, object]]) -> None:
    header = (
        "side",
        "nginx",
        "new ok/failed",
        "keep-alive ok/lost/cut/idle",
        "websockets ended",
        "gap ms",
        "p99 ms",
    )
    rows = [
        (
            side.name,
            side.nginx,
            f"{side.counts.new_ok}/{side.counts.new_failed}",
            f"{side.counts.keep_alive_ok}/{side.counts.keep_alive_lost}"
            f"/{side.counts.keep_alive_truncated}/{side.counts.keep_alive_closed_idle}",
            f"{side.counts.websockets_ended} of {WEBSOCKETS}",
            f"{side.counts.websocket_largest_gap_s * 1000:.0f}",
            f"{side.counts.p99_s * 1000:.1f}",
        )
        for side in sides
    ]
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    for row in (header, *rows):
        print("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))
    for bar in bars:
        print(f"{'met   ' if bar['met'] else 'MISSED'}  {bar['bar']}: {bar['is']} (allowed {bar['allowed']})")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--serve"]:
        serve(int(sys.argv[2]))
    else:
        sys.exit(main())
