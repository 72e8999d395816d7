"""One HTTP request on a fresh connection to 127.0.0.1, with name, source address and TLS chosen freely."""

from __future__ import annotations

import http.client
import socket
import ssl
from collections.abc import Mapping
from dataclasses import dataclass

TIMEOUT_S = 120.0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: Mapping[str, str]  # names in lower case
    body: bytes


def context() -> ssl.SSLContext:
    """TLS without a look at the certificate."""
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    tls.check_hostname = False
    tls.verify_mode = ssl.CERT_NONE
    return tls


def ask(
    port: int,
    path: str,
    *,
    host: str,
    server_name: str | None = None,
    tls: bool = True,
    method: str = "GET",
    headers: Mapping[str, str] | None = None,
    body: bytes | None = None,
    source: str = "127.0.0.1",
    default_host_header: bool = True,
) -> Answer:
    """`host` goes into the Host header (with the port, as browsers do with an unusual one), and into TLS too
    unless `server_name` is given. Raises RemoteDisconnected when the server closes without an answer."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=TIMEOUT_S, source_address=(source, 0))
    try:
        connection.connect()
        if tls:
            assert isinstance(connection.sock, socket.socket)
            connection.sock = context().wrap_socket(connection.sock, server_hostname=server_name or host)
        connection.putrequest(method, path, skip_host=True, skip_accept_encoding=True)
        if default_host_header:
            connection.putheader("Host", f"{host}:{port}")
        if body is not None:
            connection.putheader("Content-Length", str(len(body)))
        for name, value in (headers or {}).items():
            connection.putheader(name, value)
        connection.endheaders(body)
        response = connection.getresponse()
        fields = {name.lower(): value for name, value in response.getheaders()}
        return Answer(response.status, fields, response.read())
    finally:
        connection.close()
