"""The guest's socket: answers Ping any number of times, hands out the one Become.

One thread, no timer while nobody is connected. Peers talk side by side, so a slow one holds up nobody. What
they say is never logged: it holds the user's secrets.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, cast

from hubagent import wire
from hubagent.wire.peer import credentials

PATIENCE_S: Final = 2.0
"""How long a peer may take for its whole message (seconds)."""

ANSWER_S: Final = 2.0
"""How long a peer may take to receive an answer (seconds)."""

MAX_PEERS: Final = 16
"""More wait in the socket's queue."""

_ROOT: Final = 0


class ControlSocket:
    """Listens on a path, for peers of user id 0 alone."""

    def __init__(self, path: Path, pong: Callable[[], wire.Pong]) -> None:
        self._path = path
        self._pong = pong
        self._peers: dict[socket.socket, _Peer] = {}
        self._selector = selectors.DefaultSelector()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        path.unlink(missing_ok=True)
        before = os.umask(0o177)
        try:
            self._listener.bind(str(path))
        finally:
            os.umask(before)
        self._listener.listen(MAX_PEERS)
        self._listener.settimeout(0)
        self._selector.register(self._listener, selectors.EVENT_READ)

    def become(self) -> tuple[wire.Become, socket.socket]:
        """Wait for the one Become; returns it with the connection that its answer goes to.

        When this returns nobody can connect any more: the socket is closed and its path is gone.
        """
        while True:
            deadlines = [peer.deadline_s for peer in self._peers.values()]
            left_s = max(0.0, min(deadlines) - time.monotonic()) if deadlines else None
            for key, _ in self._selector.select(left_s):
                if key.fileobj is self._listener:
                    self._accept()
                    continue
                connection = self._peers[key.fileobj]  # type: ignore[index]  # we registered sockets alone
                become = self._read(connection)
                if become is not None:
                    self._close_all_but(connection)
                    return become, connection.socket
            for peer in list(self._peers.values()):
                if peer.deadline_s <= time.monotonic():
                    self._refuse(peer, "no whole message in time")

    def _accept(self) -> None:
        try:
            connection, _ = self._listener.accept()
        except OSError:  # the peer has gone again, or this process has no descriptor left for it
            return
        if credentials(connection).uid != _ROOT:
            connection.close()
            return
        connection.settimeout(0)
        self._peers[connection] = _Peer(connection)
        self._selector.register(connection, selectors.EVENT_READ)
        if len(self._peers) == MAX_PEERS:
            self._selector.unregister(self._listener)

    def _read(self, peer: _Peer) -> wire.Become | None:
        """Take what has come; a whole message is answered here, unless it is the Become."""
        try:
            message = peer.take()
        except wire.WireError as error:
            self._refuse(peer, str(error))
            return None
        except OSError:
            self._drop(peer)
            return None
        if isinstance(message, wire.Become):
            fault = _fault(message)
            if fault:
                self._refuse(peer, fault)
                return None
            return message
        if isinstance(message, wire.Ping):
            answer(peer.socket, self._pong())
            self._drop(peer)
        return None

    def _refuse(self, peer: _Peer, message: str) -> None:
        answer(peer.socket, wire.Refused("message", message))
        self._drop(peer)

    def _drop(self, peer: _Peer) -> None:
        self._selector.unregister(peer.socket)
        del self._peers[peer.socket]
        peer.socket.close()
        if self._listener not in self._selector.get_map():
            self._selector.register(self._listener, selectors.EVENT_READ)

    def _close_all_but(self, chosen: _Peer) -> None:
        self._path.unlink(missing_ok=True)
        self._listener.close()
        self._selector.close()
        for peer in self._peers.values():
            if peer is not chosen:
                peer.socket.close()
        self._peers.clear()


class _Peer:
    """One connection, and what has come over it."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self.deadline_s = time.monotonic() + PATIENCE_S
        self._body = bytearray()
        self._missing = 0

    def take(self) -> wire.Ping | wire.Become | None:
        """The message once it is whole. Raises wire.WireError, and OSError when the peer has gone."""
        if not self._missing:
            self._receive(wire.HEADER.size - len(self._body))
            if len(self._body) < wire.HEADER.size:
                return None
            self._missing = wire.body_length(bytes(self._body))
            self._body.clear()
            if not self._missing:
                raise wire.WireError("empty")
            return self.take()
        self._missing -= self._receive(self._missing)
        if self._missing:
            return None
        message: object = wire.from_json(bytes(self._body), wire.Ping, wire.Become)
        return cast("wire.Ping | wire.Become", message)

    def _receive(self, count: int) -> int:
        try:
            part = self.socket.recv(count)
        except BlockingIOError:
            return 0
        if not part:
            raise ConnectionResetError
        self._body += part
        return len(part)


def answer(connection: socket.socket, message: object) -> None:
    """Send an answer; a peer that does not take it is none of our business."""
    with contextlib.suppress(wire.WireError):
        wire.send(connection, message, timeout_s=ANSWER_S)


def _fault(message: wire.Become) -> str:
    """Why nothing can become of a well-formed message; empty when something can."""
    if not message.command or not message.command[0]:
        return "Become.command: empty"
    if not message.home.startswith("/"):
        return "Become.home: not an absolute path"
    if any(not name or "=" in name for name in message.environment):
        return "Become.environment: a name is empty or has a '='"
    words = (*message.environment, *message.environment.values(), *message.command, message.home)
    if any("\0" in word for word in words):
        return "Become: a NUL character"
    try:
        for word in words:
            word.encode()
    except UnicodeEncodeError:
        return "Become: a text that is not UTF-8"
    return ""
