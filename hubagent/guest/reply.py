"""Says Done when the server answers on its user's prefix, or Refused when it ends before."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections.abc import Mapping
from typing import Final
from urllib.parse import urlsplit

from hubagent import wire
from hubagent.guest.control_socket import answer

TIGHT_S: Final = 0.005
"""Between two checks (seconds): a start takes some 0.1 s, and this is what is lost of it at most."""

CONNECT_S: Final = 0.05
"""How long a connection may take (seconds). Within a machine it is made or refused at once, unless its first packet
is lost: Linux sends that again after a second. A listener that is being closed drops it without a word, and Jupyter
Server closes one before it listens in earnest, to see whether the port is free."""

REPLY_S: Final = 30.0
"""How long a server that listens may take for its first answer (seconds)."""

_ANYWHERE: Final = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared, not bound
_ERROR: Final = 500
"""JupyterHub, too, takes any lower HTTP status for a server that is up."""


class Reply:
    """The one answer to Become. `ended` may be called from another thread than `watch` runs in."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lock = threading.Lock()
        self._answered = False

    @property
    def answered(self) -> bool:
        return self._answered

    def say(self, message: object) -> None:
        """Answer and close the connection, unless that was done before."""
        with self._lock:
            if self._answered:
                return
            self._answered = True
            answer(self._connection, message)
            self._connection.close()

    def watch(self, environment: Mapping[str, str]) -> None:
        """Start a thread that says Done once the server of this environment answers."""
        where = address(environment)
        threading.Thread(target=self._watch, args=(where,), name="hubagent", daemon=True).start()

    def _watch(self, where: tuple[str, int, str]) -> None:
        while not self._answered:
            if answers(*where):
                self.say(wire.Done())
            else:
                time.sleep(TIGHT_S)


def address(environment: Mapping[str, str]) -> tuple[str, int, str]:
    """Host, port and path where the server will answer, by the variables that the hub gives to every server.

    Raises ValueError when they do not say it.
    """
    url = urlsplit(environment.get("JUPYTERHUB_SERVICE_URL", ""))
    prefix = environment.get("JUPYTERHUB_SERVICE_PREFIX", "")
    if url.scheme != "http" or not url.port or not prefix.startswith("/"):
        raise ValueError("JUPYTERHUB_SERVICE_URL is not an http address with a port, or there is no prefix")
    host = url.hostname or ""
    return "127.0.0.1" if host in _ANYWHERE else host, url.port, f"{prefix.rstrip('/')}/api"


def answers(host: str, port: int, path: str) -> bool:
    """Whether an HTTP server answers there, without an error of its own."""
    request = f"GET {path} HTTP/1.1\r\nHost: {host}:{port}\r\nConnection: close\r\n\r\n"
    with (
        contextlib.suppress(OSError, ValueError),
        socket.create_connection((host, port), CONNECT_S) as server,
    ):
        server.settimeout(REPLY_S)
        server.sendall(request.encode())
        with server.makefile("rb") as reply:
            version, status = reply.readline(200).split()[:2]
        return version.startswith(b"HTTP/") and int(status) < _ERROR
    return False
