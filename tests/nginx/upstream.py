"""What stands behind nginx here: a real configurable-http-proxy, and servers that play hub and user."""

from __future__ import annotations

import asyncio
import json
import os
import secrets
import subprocess
import threading
import urllib.request
from collections.abc import Coroutine, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import WSMsgType, web

from tests.waiting import DEADLINE_S, wait_until

from .front import free_ports

ROOT = Path(__file__).resolve().parents[2]
PROXY = ROOT / "build/proxy"

ASSET = b"console.log('an editor');\n" * 100
FOR_LONG = "public, max-age=2592000, immutable"
KINDS = {"js": "text/javascript; charset=utf-8", "css": "text/css", "svg": "image/svg+xml"}
"""Of an asset of Pluto 0.20, what it says of it (src/webserver/Static.jl)."""

Result = TypeVar("Result")


class Upstream:
    """An HTTP server in a thread: tells what it was asked, echoes websockets, goes away and comes back.

    `/…/status/N` answers with status N; `/…/header/N` with a header of N bytes; `/…/first-bytes` with what came
    first of the body; `/…/asset/X.js` with a file that browsers may keep; `/…/progress` sends one server-sent event and holds the stream open until it is released.
    """

    def __init__(self, name: str, port: int) -> None:
        self.name, self.port = name, port
        self._finish = asyncio.Event()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._runner: web.AppRunner | None = None
        self._thread.start()

    def run(self, work: Coroutine[Any, Any, Result]) -> Result:
        """Run it on this server's loop, which lives on: a client's connection can end in its own time."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(DEADLINE_S)

    def up(self) -> None:
        self.run(self._up())

    def down(self) -> None:
        self.run(self._down())

    def release(self) -> None:
        """Let every stream end that is held now."""

        def let() -> None:
            self._finish.set()
            self._finish.clear()

        self._loop.call_soon_threadsafe(let)

    def close(self) -> None:
        self.release()
        self.down()
        self.run(self._busy_guard())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(DEADLINE_S)
        self._loop.close()

    @staticmethod
    async def _busy_guard() -> None:
        for _ in range(3):  # a closed transport ends in the loop's next turns
            await asyncio.sleep(0)

    async def _up(self) -> None:
        application = web.Application(client_max_size=2**31)
        application.router.add_route("*", "/{path:.*}", self._answer)
        self._runner = web.AppRunner(application, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port, reuse_address=True).start()

    async def _down(self) -> None:
        if self._runner is not None:
            await self._runner.cleanup()
            self._runner = None

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Upgrade", "").lower() == "websocket":
            return await self._echo(request)
        *_, kind, value = ("", "", *request.path.split("/"))
        if kind == "status":
            return web.json_response({"by": self.name}, status=int(value))
        if value == "progress":
            return await self._stream(request)
        if value == "first-bytes":
            return web.Response(body=await request.content.readany())
        if kind == "header":
            return web.Response(headers={"X-Large": "x" * int(value)})
        if kind == "asset":  # as Pluto serves what has a hash in its name
            kept = {"Content-Type": KINDS[value.rpartition(".")[2]], "Cache-Control": FOR_LONG}
            return web.Response(body=ASSET, headers=kept)
        return web.json_response(
            {
                "by": self.name,
                "method": request.method,
                "target": request.raw_path,
                "headers": [[name.lower(), text] for name, text in request.headers.items()],
                "body_bytes": len(await request.read()),
            }
        )

    async def _echo(self, request: web.Request) -> web.StreamResponse:
        websocket = web.WebSocketResponse()
        await websocket.prepare(request)
        async for message in websocket:
            if message.type is WSMsgType.TEXT:
                await websocket.send_str(f"{self.name} {request.path} {message.data}")
            elif message.type is WSMsgType.BINARY:
                await websocket.send_bytes(message.data)
        return websocket

    async def _stream(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)
        await response.write(b'data: {"progress": 0}\n\n')
        await self._finish.wait()
        await response.write(b'data: {"progress": 100}\n\n')
        return response


@contextmanager
def upstream(name: str) -> Iterator[Upstream]:
    (port,) = free_ports(1)
    server = Upstream(name, port)
    server.up()
    try:
        yield server
    finally:
        server.close()


class Proxy:
    """configurable-http-proxy as hubagent-proxy ships it; `/user/…` goes to user, the rest to hub."""

    def __init__(self, folder: Path, hub: Upstream, user: Upstream) -> None:
        self._folder = folder
        self.port, self._api_port, self._metrics_port = free_ports(3)
        self._token = secrets.token_hex(16)
        self._hub, self._user = hub, user
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        hub = f"http://127.0.0.1:{self._hub.port}"
        settings = {
            "PROXY_IP": "127.0.0.1",
            "PROXY_PORT": str(self.port),
            "PROXY_API_IP": "127.0.0.1",
            "PROXY_API_PORT": str(self._api_port),
            "PROXY_METRICS_IP": "127.0.0.1",
            "PROXY_METRICS_PORT": str(self._metrics_port),
            "PROXY_DEFAULT_TARGET": hub,
            "PROXY_ERROR_TARGET": f"{hub}/hub/error",
            "SETTINGS_FILE": os.devnull,
            "CREDENTIALS_DIRECTORY": str(self._folder),
            "RUNTIME_DIRECTORY": str(self._folder),
        }
        (self._folder / "token").write_text(self._token)
        self._process = subprocess.Popen(
            [PROXY / "start"],
            env={"PATH": os.defpath, **settings},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        wait_until(self._routed, "configurable-http-proxy takes a route")

    def _routed(self) -> bool:
        request = urllib.request.Request(
            f"http://127.0.0.1:{self._api_port}/api/routes/user",
            data=json.dumps({"target": f"http://127.0.0.1:{self._user.port}"}).encode(),
            headers={"Authorization": f"token {self._token}"},
        )
        try:
            with urllib.request.urlopen(request, timeout=DEADLINE_S) as answer:
                return bool(answer.status == 201)
        except OSError:
            return False

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()
            self._process.wait(DEADLINE_S)
            self._process = None


@contextmanager
def proxy(folder: Path, hub: Upstream, user: Upstream) -> Iterator[Proxy]:
    subprocess.run([ROOT / "packaging/proxy.sh", PROXY], check=True)
    server = Proxy(folder, hub, user)
    server.start()
    try:
        yield server
    finally:
        server.stop()
