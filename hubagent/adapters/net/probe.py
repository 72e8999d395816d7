"""HTTP probes: one request on a fresh connection, judged within one deadline.

Every probe opens its own connection, and TLS sessions are never resumed: after a reload of nginx only a new
connection and a full handshake show what is served now. Certificates are not verified here, because the
caller compares the fingerprint with the file it put there; a probe never sends a secret to another machine.

A host name in `connect_to` or the URL is looked up without a deadline; probes that must be quick pass an
address.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import socket
import ssl
import time
from collections.abc import Mapping
from typing import BinaryIO, Final
from urllib.parse import SplitResult, urlsplit

from hubagent.errors import TemporaryError
from hubagent.ports import HttpAnswer

MAX_BODY_BYTES: Final = 1 << 20
_PORTS: Final = {"http": 80, "https": 443}


class SocketHttpProbe:
    """`ports.HttpProbe` over sockets. Safe to share between threads."""

    def __init__(self) -> None:
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._tls.check_hostname = False
        self._tls.verify_mode = ssl.CERT_NONE

    def request(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        connect_to: str | None = None,
        timeout_s: float = 2.0,
    ) -> HttpAnswer:
        deadline = _Deadline(timeout_s)
        try:
            target = urlsplit(url)
            port = target.port or _PORTS[target.scheme]
            host = target.hostname or ""
            with socket.create_connection((connect_to or host, port), timeout=timeout_s) as plain:
                plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                if target.scheme == "http":
                    return _exchange(plain, deadline, target, method, headers or {}, body)
                plain.settimeout(deadline.left_s())
                with self._tls.wrap_socket(plain, server_hostname=host) as encrypted:
                    return _exchange(encrypted, deadline, target, method, headers or {}, body)
        except TimeoutError as error:
            raise TemporaryError(f"{method} {url}: no answer within {timeout_s:g} s") from error
        except ssl.SSLError as error:
            raise TemporaryError(f"{method} {url}: no TLS connection: {error.reason or error}") from error
        except http.client.HTTPException as error:
            raise TemporaryError(f"{method} {url}: no HTTP answer: {type(error).__name__} {error}") from error
        except OSError as error:
            raise TemporaryError(f"{method} {url}: {error.strerror or error}") from error
        except (KeyError, ValueError) as error:
            raise TemporaryError(f"{method} {url}: this request cannot be sent: {error}") from error


class _Deadline:
    """One span of time for everything that a probe does."""

    def __init__(self, timeout_s: float) -> None:
        self._end = time.monotonic() + timeout_s

    def left_s(self) -> float:
        left = self._end - time.monotonic()
        if left <= 0:
            raise TimeoutError
        return left


class _DeadlineStream(io.RawIOBase):
    """The receiving side of a socket: each read may take what is left of the deadline."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: bytearray | memoryview) -> int:  # type: ignore[override]
        self._connection.settimeout(self._deadline.left_s())
        return self._connection.recv_into(buffer)


class _DeadlineConnection:
    """As much of a socket as http.client uses."""

    def __init__(self, connection: socket.socket, deadline: _Deadline) -> None:
        self._connection = connection
        self._deadline = deadline

    def sendall(self, content: bytes) -> None:
        self._connection.settimeout(self._deadline.left_s())
        self._connection.sendall(content)

    def makefile(self, _mode: str) -> BinaryIO:
        return io.BufferedReader(_DeadlineStream(self._connection, self._deadline))

    def close(self) -> None:
        """The owner of the socket closes it."""


def _exchange(
    connection: socket.socket,
    deadline: _Deadline,
    target: SplitResult,
    method: str,
    headers: Mapping[str, str],
    body: bytes | None,
) -> HttpAnswer:
    client = http.client.HTTPConnection(target.hostname or "")
    client.sock = _DeadlineConnection(connection, deadline)
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    host = target.netloc.rpartition("@")[2]
    client.request(method, path, body=body, headers={"Host": host, "Connection": "close", **headers})
    with client.getresponse() as response:
        content = response.read(MAX_BODY_BYTES)
        if response.length and len(content) < MAX_BODY_BYTES:
            raise http.client.IncompleteRead(content, response.length)
        told = tuple((name.lower(), value) for name, value in response.getheaders())
        return HttpAnswer(response.status, content, _served_certificate(connection), told)


def _served_certificate(connection: socket.socket) -> str | None:
    """Hex sha256 of the leaf certificate (DER) that the other side showed."""
    if not isinstance(connection, ssl.SSLSocket):
        return None
    certificate = connection.getpeercert(binary_form=True)
    return hashlib.sha256(certificate).hexdigest() if certificate else None
