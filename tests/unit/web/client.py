"""A client on plain sockets, so that tests can be as slow, rude or many as they like."""

from __future__ import annotations

import socket
import ssl
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPResponse, HTTPSConnection
from typing import NamedTuple


class Address(NamedTuple):
    host: str
    port: int


@dataclass
class Reply:
    status: int
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def text(self) -> str:
        return self.body.decode()


def get(
    address: Address,
    path: str = "/metrics",
    *,
    method: str = "GET",
    headers: dict[str, str] | None = None,
    tls: ssl.SSLContext | None = None,
    timeout_s: float = 10.0,
) -> Reply:
    if tls is None:
        connection = HTTPConnection(*address, timeout=timeout_s)
    else:
        connection = HTTPSConnection(*address, timeout=timeout_s, context=tls)
    try:
        connection.request(method, path, headers={"Connection": "close"} | (headers or {}))
        return reply(connection.getresponse())
    finally:
        connection.close()


def reply(response: HTTPResponse) -> Reply:
    body = response.read()
    return Reply(response.status, body, {name.lower(): value for name, value in response.getheaders()})


def dial(address: Address, *, timeout_s: float = 10.0) -> socket.socket:
    return socket.create_connection(address, timeout=timeout_s)


def send_raw(address: Address, request: bytes, *, timeout_s: float = 10.0) -> bytes:
    """Everything that the server answers until it closes the connection."""
    with dial(address, timeout_s=timeout_s) as sock:
        sock.sendall(request)
        return read_all(sock)


def read_all(sock: socket.socket) -> bytes:
    answer = b""
    while piece := sock.recv(65536):
        answer += piece
    return answer
