"""One request and one answer for each connection of a unix socket: the server of the agent and of the homes helper.

Threads answer, as many as are needed up to a bound; what cannot even wait is told to come back. Whoever connects is
asked of the kernel (SO_PEERCRED), whatever the modes of the socket's file are.
"""

from __future__ import annotations

import contextlib
import logging
import queue
import socket
import threading
from collections import deque
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from hubagent import wire
from hubagent.threads import NamedThread
from hubagent.wire import peer

Answer = Callable[[Any, socket.socket, ExitStack], object]
"""Called in any thread with a request, its connection, and a stack. Returns a message, or None when nobody waits for
one. What it puts on the stack ends after the answer has gone, and before the connection does."""

_PAUSE_S: Final = 0.1
"""After an accept that failed (seconds)."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    workers: int
    """Requests that are worked on at once, each in a thread."""
    waiting: int
    """Connections that wait for a worker; more are refused."""
    request_s: float
    """How long a peer may take for its whole request, and for its answer (seconds)."""
    idle_s: float
    """So long a worker stays that has nothing to do (seconds)."""
    stop_s: float
    """So long `stop` waits for what is being answered: for all of it (seconds)."""


@dataclass(frozen=True, slots=True)
class Refusals:
    """What peers are told whose requests are not answered."""

    busy: wire.Refused
    failed: wire.Refused
    """By a fault of ours."""
    stranger: wire.Refused | None
    """Of another user; None: nothing."""
    misunderstood: str
    """What stands before the reason why their bytes are no request."""


class RequestServer:
    """Listens from `start` to `stop`, which are called from one thread, as often as one likes."""

    def __init__(
        self,
        name: str,
        answer: Answer,
        *,
        requests: tuple[type[Any], ...],
        limits: Limits,
        refusals: Refusals,
        peers_level: int = logging.WARNING,
    ) -> None:
        """`name` is that of its threads, and stands in its log. Only `requests` get to `answer`. What its peers get
        wrong, and that they leave early, is logged at `peers_level`."""
        self._name = name
        self._answer = answer
        self._requests = requests
        self._limits = limits
        self._refusals = refusals
        self._peers_level = peers_level
        self._changed = threading.Condition()
        self._workers = 0
        self._idle: list[queue.SimpleQueue[socket.socket | None]] = []  # of workers, by when they were done
        self._waiting: deque[socket.socket] = deque()
        self._stopping = threading.Event()
        self._listener: socket.socket | None = None
        self._acceptor: threading.Thread | None = None

    def start(self, listener: socket.socket, users: frozenset[int]) -> None:
        """Answer what these users (by their ids) ask there. `stop` closes the listener."""
        self._stopping.clear()
        self._listener = listener
        self._acceptor = NamedThread(partial(self._accept, listener, users), name=f"{self._name}-accept")
        self._acceptor.start()

    def stop(self) -> int:
        """Accept nothing more; wait a little for what is being answered. How many requests are not over then."""
        if self._listener is None or self._acceptor is None:
            return 0
        self._stopping.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)  # wakes the acceptor
        self._acceptor.join()
        self._listener.close()
        self._listener = self._acceptor = None
        with self._changed:
            while self._waiting:
                self._waiting.popleft().close()
            while self._idle:
                self._idle.pop().put(None)
                self._workers -= 1
            self._changed.wait_for(lambda: self._workers == 0, self._limits.stop_s)
            return self._workers

    # the acceptor

    def _accept(self, listener: socket.socket, users: frozenset[int]) -> None:
        while not self._stopping.is_set():
            try:
                connection, _ = listener.accept()
            except OSError as error:
                if not self._stopping.is_set():  # such as no descriptor left: others will be closed
                    log.error("%s socket: %s", self._name, error)
                    self._stopping.wait(_PAUSE_S)
                continue
            self._admit(connection, users)

    def _admit(self, connection: socket.socket, users: frozenset[int]) -> None:
        """To a worker, or to wait for one; otherwise it is closed."""
        pid, uid, _ = peer.credentials(connection)
        refusal: wire.Refused | None = self._refusals.busy
        if uid not in users:
            log.warning("%s socket: process %d of user %d may not ask", self._name, pid, uid)
            refusal = self._refusals.stranger
        else:
            try:
                if self._is_taken(connection):
                    return
            except RuntimeError as error:
                log.error("%s socket: %s", self._name, error)
        if refusal is not None:
            _reply(connection, refusal, 0.0)  # a few bytes, which a new connection takes at once
        connection.close()

    def _is_taken(self, connection: socket.socket) -> bool:
        """By a worker, now or later. Raises RuntimeError when the system has no thread left for one more."""
        with self._changed:
            if self._idle:
                self._idle.pop().put(
                    connection
                )  # who was busy last: those whom nobody needs any more can leave
            elif self._workers < self._limits.workers:
                NamedThread(partial(self._work, connection), name=self._name).start()
                self._workers += 1
            elif len(self._waiting) < self._limits.waiting:
                self._waiting.append(connection)
            else:
                return False
        return True

    # a worker

    def _work(self, first: socket.socket) -> None:
        connection: socket.socket | None = first
        while connection is not None:
            try:
                with connection, ExitStack() as lasting:
                    self._serve(connection, lasting)
            except Exception:  # at the end of what lasts: it must not cost a worker
                log.exception("%s socket: after an answer", self._name)
            connection = self._next()

    def _next(self) -> socket.socket | None:
        """What comes next; None when this worker is to leave, and is not counted any more."""
        handed: queue.SimpleQueue[socket.socket | None] = queue.SimpleQueue()
        with self._changed:
            if self._waiting:
                return self._waiting.popleft()
            if self._stopping.is_set():
                self._workers -= 1
                self._changed.notify_all()
                return None
            self._idle.append(handed)
        with contextlib.suppress(queue.Empty):
            return handed.get(timeout=self._limits.idle_s)
        with self._changed:
            if handed in self._idle:
                self._idle.remove(handed)
                self._workers -= 1
                return None
        return handed.get()  # it came in the last moment

    def _serve(self, connection: socket.socket, lasting: ExitStack) -> None:
        try:
            request = wire.receive(connection, *self._requests, timeout_s=self._limits.request_s)
        except wire.WireError as error:
            log.log(self._peers_level, "%s socket: %s", self._name, error)
            refusal = wire.Refused("message", f"{self._refusals.misunderstood}{error}")
            _reply(connection, refusal, self._limits.request_s)
            return
        verb = type(request).__name__
        try:
            answer = self._answer(request, connection, lasting)
        except Exception:  # a fault of ours must not cost a worker
            log.exception("%s socket: %s", self._name, verb)
            answer = self._refusals.failed
        if answer is None:
            log.log(
                self._peers_level, "%s socket: nobody waits for the answer to %s any more", self._name, verb
            )
        elif not _reply(connection, answer, self._limits.request_s):
            log.log(self._peers_level, "%s socket: nobody waited for the answer to %s", self._name, verb)


def listen_at(path: Path, mode: int) -> socket.socket:
    """A socket that listens there, instead of what an earlier process left. Its file gets its mode before anybody can
    connect. Raises OSError, and leaves no file then."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        path.unlink(missing_ok=True)
        listener.bind(str(path))
        path.chmod(mode)
        listener.listen(socket.SOMAXCONN)
    except BaseException:
        listener.close()
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        raise
    return listener


def _reply(connection: socket.socket, message: object, timeout_s: float) -> bool:
    """Whether the peer was there to take it."""
    try:
        wire.send(connection, message, timeout_s=timeout_s)
    except wire.WireError:
        return False
    return True
