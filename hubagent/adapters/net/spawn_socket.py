"""Where the hub asks for servers: a unix socket, one request and one answer for each connection.

Only the hub's user and root can connect (mode 0660), and only they are answered (SO_PEERCRED).
"""

from __future__ import annotations

import contextlib
import logging
import os
import pwd
import socket
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from hubagent import wire
from hubagent.errors import StorageError
from hubagent.layout import HUB_USER
from hubagent.request_server import Limits, Refusals, RequestServer, listen_at
from hubagent.wire import peer

log = logging.getLogger(__name__)

LIMITS: Final = Limits(
    workers=32,  # a cold start takes seconds, most of which it waits for Docker
    waiting=256,
    request_s=3.0,
    idle_s=30.0,
    stop_s=5.0,
)

_REFUSALS: Final = Refusals(
    busy=wire.Refused("busy", "Too many servers start at once; try again."),
    failed=wire.Refused("engine", "hubagent failed; its log says how."),
    stranger=None,
    misunderstood="",
)


class SpawnServer:
    """Listens from `start` to `stop`."""

    def __init__(
        self,
        path: Path,
        answer: Callable[[Any], object],
        *,
        requests: tuple[type[Any], ...],
        owner: str = HUB_USER,
        limits: Limits = LIMITS,
    ) -> None:
        """`answer` is called with one of `requests`, in any thread, and returns a message. `owner` is the user
        that may ask, by its group; it exists when `start` is called."""
        self._path = path
        self._answer = answer
        self._owner = owner
        self._server = RequestServer(
            "spawn", self._answer_if_awaited, requests=requests, limits=limits, refusals=_REFUSALS
        )
        self._bound: tuple[int, int] | None = None  # device and inode of the listener's file

    def start(self) -> None:
        """Raises StorageError when the socket cannot be made. Does nothing while it is there; one whose file is
        not at its path any more is made anew."""
        if self._bound is not None:
            if self._bound == _identity(self._path):
                return
            log.warning("spawn socket: %s was removed or replaced; it is created again", self._path)
            self.stop()
        try:
            owner = pwd.getpwnam(self._owner)
            listener = _listen(self._path, owner.pw_gid)
        except KeyError:
            raise StorageError(f"{self._path}: there is no user {self._owner}; reinstall hubagent") from None
        except OSError as error:
            raise StorageError(f"{self._path}: cannot listen there: {error}") from error
        self._bound = _identity(self._path)
        self._server.start(listener, frozenset({0, owner.pw_uid}))

    def stop(self) -> None:
        """Accept nothing more; wait a little for what is being answered."""
        if self._bound is not None and self._bound == _identity(self._path):
            self._path.unlink(missing_ok=True)
        self._bound = None
        self._server.stop()

    def _answer_if_awaited(self, request: Any, connection: socket.socket, _: ExitStack) -> object:
        """None for a hub that was killed while its request waited for its turn; the next one decides anew."""
        return None if peer.has_gone(connection) else self._answer(request)


def _listen(path: Path, group: int) -> socket.socket:
    """A listening socket at the path, instead of what an earlier agent left there. It gets its owner and mode
    before it gets its name."""
    fresh = path.with_name(f".{path.name}.new")
    listener = listen_at(fresh, 0o660)
    try:
        os.chown(fresh, 0 if os.geteuid() == 0 else -1, group)
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
