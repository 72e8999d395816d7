"""A unix socket in front of another one, that can go away, come back, or go silent as a hanging program does."""

from __future__ import annotations

import selectors
import socket
import threading
from pathlib import Path

_CHUNK = 65536


class UnixRelay:
    """Passes bytes both ways between clients of `path` and `target`, by a thread of its own."""

    def __init__(self, path: Path, target: str) -> None:
        self._path = path
        self._target = target
        self._is_frozen = False
        self._peers: dict[socket.socket, socket.socket] = {}
        self.start()

    @property
    def clients(self) -> int:
        """That are connected now."""
        return len(self._peers) // 2

    @property
    def url(self) -> str:
        return f"unix://{self._path}"

    def start(self) -> None:
        self._is_frozen = False
        self._selector = selectors.DefaultSelector()
        self._wake, woken = socket.socketpair()
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(self._path))
        self._listener.listen()
        self._selector.register(woken, selectors.EVENT_READ)
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._relay, args=(woken,))
        self._thread.start()

    def stop(self) -> None:
        """Connections break, and nobody listens."""
        self._wake.close()
        self._thread.join()
        self._path.unlink()

    def freeze(self) -> None:
        """Everything is taken, nothing is answered."""
        self._is_frozen = True

    def close(self) -> None:
        if self._path.exists():
            self.stop()

    def _relay(self, woken: socket.socket) -> None:
        peers = self._peers = {}
        while True:
            for key, _ in self._selector.select():
                ready = key.fileobj
                assert isinstance(ready, socket.socket)
                if ready is woken:
                    for each in (*peers, self._listener, woken):
                        each.close()
                    self._selector.close()
                    return
                if ready is self._listener:
                    self._accept(peers)
                elif ready in peers:
                    self._pass_on(ready, peers)

    def _accept(self, peers: dict[socket.socket, socket.socket]) -> None:
        client, _ = self._listener.accept()
        server = socket.socket(socket.AF_UNIX)
        server.connect(self._target)
        peers[client], peers[server] = server, client
        for each in (client, server):
            self._selector.register(each, selectors.EVENT_READ)

    def _pass_on(self, ready: socket.socket, peers: dict[socket.socket, socket.socket]) -> None:
        try:
            content = ready.recv(_CHUNK)
            if content and not self._is_frozen:
                peers[ready].sendall(content)
        except OSError:
            content = b""
        if not content:
            other = peers.pop(ready)
            del peers[other]
            for each in (ready, other):
                self._selector.unregister(each)
                each.close()
