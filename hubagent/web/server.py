"""The HTTP server of `metrics.listen`: its sockets, its one thread, and changing the address without a gap.

All connections live in one asyncio loop in one thread, at most MAX_CONNECTIONS of them; more wait in the
kernel's queue. When there is no room, the one that has waited longest without sending a whole request is
dropped once it had GRACE_S: slow clients, however many, cannot keep a scrape out for long and cannot take
memory or threads, and a thousand honest ones at once are all served.
"""

from __future__ import annotations

import asyncio
import errno
import functools
import ipaddress
import logging
import socket
import threading
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass
from typing import Any, Final, TypeVar

from hubagent.config.kinds.types import ListenAddress
from hubagent.config.model import MetricsTls
from hubagent.errors import PreflightError
from hubagent.threads import NamedThread
from hubagent.web.auth import BasicAuth, ServerTls
from hubagent.web.endpoints import OTHER, PATHS, Endpoints
from hubagent.web.http_connection import Answer, Connection, Limits, Request, RequestError
from hubagent.web.metrics import Metrics

MAX_CONNECTIONS: Final = 128
GRACE_S: Final = 0.25

_BACKLOG: Final = 1024
_DEADLINE_S: Final = 5.0
_T = TypeVar("_T")

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, eq=False)
class Listener:
    """A bound socket that does not serve yet, with who may read it. `Exposition.switch` puts it in force;
    `close` gives it up."""

    address: ListenAddress
    socket: socket.socket
    tls: ServerTls | None
    auth: BasicAuth

    @property
    def port(self) -> int:
        """The port really bound (of interest when 0 was asked for)."""
        return int(self.socket.getsockname()[1])

    def close(self) -> None:
        self.auth.close()
        self.socket.close()


class Exposition:
    """Serves `endpoints`. `bind` and `switch` make a change of address a transaction: bind the new one first
    (which fails without touching the old one), switch when everything else is fine.

    Its methods are called from one thread, the reconciler's.
    """

    def __init__(self, endpoints: Endpoints, metrics: Metrics, *, limits: Limits | None = None) -> None:
        self._endpoints = endpoints
        self._metrics = metrics
        self._limits = limits or Limits()
        self._running: Listener | None = None
        self._connections: dict[asyncio.Task[None], Connection] = {}
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None

    @property
    def running(self) -> Listener | None:
        """What serves now."""
        return self._running

    def bind(self, listen: ListenAddress, tls: MetricsTls | None, users: Mapping[str, str]) -> Listener:
        """Make ready to serve elsewhere or otherwise; the running listener goes on.

        Raises PreflightError when the address is taken or not on this machine, or certificate or users cannot
        be used."""
        auth = BasicAuth(users)
        try:
            server_tls = ServerTls(tls) if tls is not None else None
            return Listener(listen, self._bind_socket(listen), server_tls, auth)
        except PreflightError:
            auth.close()
            raise

    def switch(self, listener: Listener) -> None:
        """Serve on `listener`, then stop serving on the one before; answers under way are finished."""
        if self._thread is None:
            self._loop = asyncio.new_event_loop()
            self._thread = NamedThread(functools.partial(self._run, self._loop), name="metrics")
            self._thread.start()
        before, self._running = self._running, listener
        self._call(self._serve(listener, before))
        if before is not None:
            before.close()

    def close(self) -> None:
        """Stop serving. Nothing may be called afterwards."""
        if self._loop is None or self._thread is None:
            return
        self._call(self._stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(_DEADLINE_S)
        if self._running is not None:
            self._running.close()
            self._running = None
        self._loop = self._thread = None

    # sockets

    def _bind_socket(self, listen: ListenAddress) -> socket.socket:
        if self._running is not None and self._running.address == listen:
            return self._running.socket.dup()  # only certificate or users change: no connection is refused
        try:
            return _listening_socket(listen)
        except OSError as error:
            ours = self._running is not None and self._running.address.port == listen.port
            if not (error.errno == errno.EADDRINUSE and ours):
                raise _bind_error(listen, error) from None
        return self._bind_beside(listen)

    def _bind_beside(self, listen: ListenAddress) -> socket.socket:
        """Bind where our own listener may be what is in the way: 0.0.0.0 overlaps 127.0.0.1. Both sockets
        agree to share the port for the moment of the bind; a foreign holder did not, and is still noticed."""
        if self._running is None:
            raise RuntimeError("nothing runs to bind beside")
        running = self._running.socket
        running.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        try:
            return _listening_socket(listen, share=True)
        except OSError as error:
            raise _bind_error(listen, error) from None
        finally:
            running.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)

    # in the loop's thread

    @staticmethod
    def _run(loop: asyncio.AbstractEventLoop) -> None:
        asyncio.set_event_loop(loop)
        try:
            loop.run_forever()
        finally:
            loop.close()

    def _call(self, coroutine: Coroutine[Any, Any, _T]) -> _T:
        if self._loop is None:
            raise RuntimeError("the loop does not run")
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(_DEADLINE_S)

    async def _serve(self, listener: Listener, before: Listener | None) -> None:
        loop = asyncio.get_running_loop()
        loop.add_reader(listener.socket, self._accept, listener)
        if before is not None:
            loop.remove_reader(before.socket)
        for connection in self._connections.values():
            connection.finish()

    async def _stop(self) -> None:
        if self._running is not None:
            asyncio.get_running_loop().remove_reader(self._running.socket)
        for task in self._connections:
            task.cancel()
        while others := asyncio.all_tasks() - {asyncio.current_task()}:
            await asyncio.wait(others)

    def _accept(self, listener: Listener) -> None:
        """Take in one connection; called again while more wait, after those here had a turn."""
        if not self._has_room():
            self._pause(listener, GRACE_S / 4)
            return
        try:
            client, _ = listener.socket.accept()
        except (BlockingIOError, ConnectionAbortedError):  # the client has gone again
            return
        except OSError as error:  # no descriptors left
            log.warning("metrics: accept failed: %s", error)
            self._pause(listener, GRACE_S)
            return
        client.settimeout(0)
        loop = asyncio.get_running_loop()
        connection = Connection(
            loop,
            self._respond,
            lambda answer: self._metrics.http_request(OTHER, answer.status),
            self._limits,
        )
        task = loop.create_task(self._attend(client, listener.tls, connection))
        self._connections[task] = connection
        task.add_done_callback(functools.partial(self._forget, client))

    async def _attend(self, client: socket.socket, tls: ServerTls | None, connection: Connection) -> None:
        loop = asyncio.get_running_loop()
        secured: dict[str, Any] = {}
        if tls is not None:
            secured = {
                "ssl": tls.context,
                "ssl_handshake_timeout": self._limits.head_s,
                "ssl_shutdown_timeout": self._limits.head_s,
            }
        try:
            transport, _ = await loop.connect_accepted_socket(lambda: connection, client, **secured)
        except OSError:  # a failed handshake is the client's matter
            return
        try:
            await connection.closed
        finally:
            transport.abort()

    def _forget(self, client: socket.socket, task: asyncio.Task[None]) -> None:
        self._connections.pop(task, None)
        client.close()

    async def _respond(self, request: Request) -> Answer:
        try:
            if self._running is not None:  # on connections of an earlier listener too: today's users count
                await self._running.auth.check(request)
            answer = self._endpoints.answer(request)
        except RequestError as error:
            answer = error.answer
        self._metrics.http_request(request.path if request.path in PATHS else OTHER, answer.status)
        return answer

    def _pause(self, listener: Listener, seconds: float) -> None:
        """Leave new connections in the kernel's queue for a moment."""
        loop = asyncio.get_running_loop()
        loop.remove_reader(listener.socket)
        loop.call_later(seconds, self._resume, listener)

    def _resume(self, listener: Listener) -> None:
        if listener is self._running and listener.socket.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listener.socket, self._accept, listener)

    def _has_room(self) -> bool:
        """Whether one more fits, if need be after dropping those whose request is overdue."""
        if len(self._connections) < MAX_CONNECTIONS:
            return True
        overdue = asyncio.get_running_loop().time() - GRACE_S
        for task, connection in tuple(self._connections.items()):
            if not connection.busy and connection.since < overdue:
                del self._connections[task]
                task.cancel()
                self._metrics.http_connection_dropped()
        return len(self._connections) < MAX_CONNECTIONS


def _listening_socket(listen: ListenAddress, *, share: bool = False) -> socket.socket:
    version = ipaddress.ip_address(listen.host).version
    sock = socket.socket(socket.AF_INET6 if version == 6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if version == 6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)  # `::` serves IPv4 too
        sock.bind((listen.host, listen.port))
        sock.listen(_BACKLOG)
        sock.settimeout(0)
        if share:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 0)
    except OSError:
        sock.close()
        raise
    return sock


def _bind_error(listen: ListenAddress, error: OSError) -> PreflightError:
    where = f"metrics.listen: {listen}"
    match error.errno:
        case errno.EADDRINUSE:
            remedy = f"`ss -ltnp 'sport = :{listen.port}'` shows by whom; stop it or choose another port"
            return PreflightError(f"{where}: address in use; {remedy}")
        case errno.EADDRNOTAVAIL:
            return PreflightError(f"{where}: not an address of this machine; `ip address` lists them")
        case errno.EACCES | errno.EPERM:
            return PreflightError(f"{where}: not permitted; choose a port above 1023")
        case _:
            return PreflightError(f"{where}: cannot listen there: {error.strerror}")
