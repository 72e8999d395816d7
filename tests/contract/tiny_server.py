"""A server that says exactly the bytes a test wants, with the pauses it wants, plainly or over TLS."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterable
from pathlib import Path

Part = bytes | float
"""Bytes to send, or seconds to be silent."""


class TinyServer:
    """Answers every connection on 127.0.0.1 with the same parts; keeps what it was asked."""

    def __init__(self, parts: Iterable[Part], *, pair: tuple[Path, Path] | None = None) -> None:
        self.requests: list[bytes] = []
        self.names: list[str | None] = []  # server names that clients asked for (SNI)
        self._parts = tuple(parts)
        self._tls: ssl.SSLContext | None = None
        if pair is not None:
            self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._tls.load_cert_chain(*pair)
            self._tls.sni_callback = lambda _socket, name, _context: self.names.append(name)
        self._closing = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def _serve(self) -> None:
        while not self._closing.is_set():
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            with connection:
                connection.settimeout(10.0)
                try:
                    if self._tls is None:
                        self._answer(connection)
                    else:
                        with self._tls.wrap_socket(connection, server_side=True) as encrypted:
                            self._answer(encrypted)
                except OSError:
                    continue  # the client had enough

    def _answer(self, connection: socket.socket) -> None:
        request = b""
        while not _is_whole(request) and (more := connection.recv(65536)):
            request += more
        self.requests.append(request)
        for part in self._parts:
            if isinstance(part, bytes):
                connection.sendall(part)
            elif self._closing.wait(part):
                return


def _is_whole(request: bytes) -> bool:
    """Head and body have come: the client may send them apart."""
    head, end, body = request.partition(b"\r\n\r\n")
    length = re.search(rb"^content-length: *(\d+)\r?$", head, re.IGNORECASE | re.MULTILINE)
    return bool(end) and len(body) >= (int(length[1]) if length else 0)
