"""Where the hub asks for servers: a unix socket, one request and one answer for each connection.

Only the hub's user and root can connect (mode 0660), and only they are answered (SO_PEERCRED). Threads answer,
as many as are needed up to a bound; what cannot even wait is told to come back.
"""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import queue
import socket
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

from hubagent import wire
from hubagent.errors import StorageError
from hubagent.layout import HUB_USER
from hubagent.threads import NamedThread
from hubagent.wire import peer

log = logging.getLogger(__name__)

WORKERS: Final = 32
"""Requests that are worked on at once. A cold start takes seconds, most of which it waits for Docker."""

WAITING: Final = 256
"""Connections that wait for a worker; more are refused."""

REQUEST_S: Final = 3.0
"""How long a peer may take for its whole request, and for its answer (seconds)."""

IDLE_S: Final = 30.0
"""So long, and at most twice as long, more workers stay than were needed at once (seconds)."""

_POLL_S: Final = 0.5
"""Between two checks of a worker that waits whether it is still needed (seconds)."""

_STOP_S: Final = 5.0
"""So long `stop` waits for what is being answered: for all of it (seconds)."""


class SpawnServer:
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        path: Path,
        answer: Callable[[Any], object],
        *,
        requests: tuple[type[Any], ...],
        owner: str = HUB_USER,
        workers: int = WORKERS,
        waiting: int = WAITING,
        request_s: float = REQUEST_S,
        idle_s: float = IDLE_S,
    ) -> None:
        """`answer` is called with one of `requests`, in any thread, and returns a message. `owner` is the user
        that may ask, by its group; it exists when `start` is called."""
        self._path = path
        self._answer = answer
        self._requests = requests
        self._owner = owner
        self._max_workers = workers
        self._request_s = request_s
        self._idle_s = idle_s
        self._queue: queue.Queue[socket.socket] = queue.Queue(waiting)
        self._lock = threading.Lock()
        self._workers: set[threading.Thread] = set()
        self._load = 0  # connections that wait or are answered
        self._peaks = (0, 0)  # of the load: in the period before this one, and in this one
        self._period_s = 0.0  # when this one began
        self._listener: socket.socket | None = None
        self._bound: tuple[int, int] | None = None  # device and inode of the listener's file
        self._acceptor: threading.Thread | None = None
        self._users: frozenset[int] = frozenset()
        self._stopping = threading.Event()

    def start(self) -> None:
        """Raises StorageError when the socket cannot be made. Does nothing while it is there; one whose file is
        not at its path any more is made anew."""
        if self._listener is not None:
            if self._is_in_place():
                return
            log.warning("spawn socket: %s was removed or replaced; it is created again", self._path)
            self.stop()
        try:
            owner = pwd.getpwnam(self._owner)
            self._users = frozenset({0, owner.pw_uid})
            self._listener = _listen(self._path, owner.pw_gid)
            self._bound = _identity(self._path)
        except KeyError:
            raise StorageError(f"{self._path}: there is no user {self._owner}; reinstall hubagent") from None
        except OSError as error:
            raise StorageError(f"{self._path}: cannot listen there: {error}") from error
        self._stopping.clear()
        self._acceptor = NamedThread(self._accept, name="spawn-accept")
        self._acceptor.start()

    def stop(self) -> None:
        """Accept nothing more; wait a little for what is being answered."""
        self._stopping.set()
        if self._listener is not None:
            with contextlib.suppress(OSError):
                self._listener.shutdown(socket.SHUT_RDWR)  # wakes the acceptor
        if self._acceptor is not None:
            self._acceptor.join()
            self._acceptor = None
        if self._listener is not None:
            self._listener.close()
            self._listener = None
            if self._is_in_place():
                self._path.unlink(missing_ok=True)
        with self._lock:
            workers = list(self._workers)
        deadline_s = time.monotonic() + _STOP_S
        for worker in workers:
            worker.join(max(0.0, deadline_s - time.monotonic()))
        while not self._queue.empty():
            self._queue.get_nowait().close()

    def _is_in_place(self) -> bool:
        return self._bound is not None and self._bound == _identity(self._path)

    def _accept(self) -> None:
        assert self._listener is not None
        while not self._stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError as error:
                if not self._stopping.is_set():  # such as no descriptor left: others will be closed
                    log.error("spawn socket: %s", error)
                    self._stopping.wait(0.1)
                continue
            if not self._is_allowed(connection):
                connection.close()
                continue
            try:
                self._queue.put_nowait(connection)
            except queue.Full:
                _reply(connection, wire.Refused("busy", "Too many servers start at once; try again."), 0.1)
                connection.close()
            else:
                self._see_to_it()

    def _is_allowed(self, connection: socket.socket) -> bool:
        pid, uid, _ = peer.credentials(connection)
        if uid not in self._users:
            log.warning("spawn socket: process %d of user %d is not the hub; not answered", pid, uid)
        return uid in self._users

    def _see_to_it(self) -> None:
        """One more worker if all are at work and there may be more."""
        with self._lock:
            self._load += 1
            self._needed()
            if len(self._workers) < min(self._load, self._max_workers):
                worker = NamedThread(self._work, name="spawn")
                self._workers.add(worker)
                worker.start()

    def _needed(self) -> int:
        """Workers: as many as there was to do at once lately. With the lock held."""
        now_s = time.monotonic()
        before, peak = self._peaks
        if now_s - self._period_s >= self._idle_s:
            self._period_s, before, peak = now_s, peak, 0
        self._peaks = (before, max(peak, self._load))
        return max(self._peaks)

    def _work(self) -> None:
        while True:
            connection = self._next()
            if connection is not None:
                with connection:
                    self._serve(connection)
            with self._lock:
                self._load -= connection is not None
                is_over = connection is None and self._stopping.is_set()
                if is_over or len(self._workers) > self._needed():
                    self._workers.discard(threading.current_thread())
                    return

    def _next(self) -> socket.socket | None:
        """A connection; None when there was none for a moment, or the server stops."""
        if not self._stopping.is_set():
            with contextlib.suppress(queue.Empty):
                return self._queue.get(timeout=_POLL_S)
        return None

    def _serve(self, connection: socket.socket) -> None:
        try:
            request = wire.receive(connection, *self._requests, timeout_s=self._request_s)
        except wire.WireError as error:
            log.warning("spawn socket: %s", error)
            _reply(connection, wire.Refused("message", str(error)), self._request_s)
            return
        if peer.has_gone(connection):
            # A hub that was killed while this waited for its turn; the next one decides anew.
            log.warning("spawn socket: nobody waits for the answer to %s any more", type(request).__name__)
            return
        try:
            answer = self._answer(request)
        except Exception:  # a fault of ours must not cost a worker
            log.exception("spawn socket: %s", type(request).__name__)
            answer = wire.Refused("engine", "hubagent failed; its log says how.")
        if not _reply(connection, answer, self._request_s):
            log.warning("spawn socket: the hub did not wait for the answer to %s", type(request).__name__)


def _listen(path: Path, group: int) -> socket.socket:
    """A listening socket at the path, instead of what an earlier agent left there. It gets its owner and mode
    before it gets its name."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    fresh = path.with_name(f".{path.name}.new")
    try:
        fresh.unlink(missing_ok=True)
        listener.bind(str(fresh))
        fresh.chmod(0o660)
        os.chown(fresh, 0 if os.geteuid() == 0 else -1, group)
        listener.listen(socket.SOMAXCONN)
        fresh.replace(path)
    except BaseException:
        listener.close()
        with contextlib.suppress(OSError):
            fresh.unlink(missing_ok=True)
        raise
    return listener


def _identity(path: Path) -> tuple[int, int] | None:
    """Which file has this name; None when none has."""
    try:
        found = path.lstat()
    except OSError:
        return None
    return found.st_dev, found.st_ino


def _reply(connection: socket.socket, message: object, timeout_s: float) -> bool:
    """Whether the peer was there to take it."""
    try:
        wire.send(connection, message, timeout_s=timeout_s)
    except wire.WireError:
        return False
    return True
