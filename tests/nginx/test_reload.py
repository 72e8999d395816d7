"""What a reload does to those who are connected, and how `websocket_drain` ends it."""

from __future__ import annotations

import http.client
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import pytest

from tests.waiting import wait_until

from .client import ask, context
from .front import HOST
from .stack import Stack


@contextmanager
def open_websocket(stack: Stack) -> Iterator[socket.socket]:
    """A websocket after its handshake, as a bare socket: here only its end matters."""
    with socket.create_connection(("127.0.0.1", stack.site.https_port), timeout=20) as plain:
        tls = context().wrap_socket(plain, server_hostname=HOST)
        tls.sendall(
            f"GET /user/ann/api/kernels/1/channels HTTP/1.1\r\nHost: {HOST}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n".encode()
        )
        assert b" 101 " in tls.recv(4096)
        yield tls
        tls.close()


def echoes(websocket: socket.socket) -> bool:
    """Whether a masked text frame "hi" comes back (RFC 6455, 5.7); the mask is zero."""
    websocket.sendall(b"\x81\x82\0\0\0\0hi")
    return websocket.recv(4096).endswith(b"hi")


def test_the_main_file_reaches_nginx_where_debian_includes_it(stack: Stack) -> None:
    """worker_shutdown_timeout is allowed at main level only; nginx accepts it through modules-enabled."""
    assert "modules-enabled" in stack.front.conf.read_text()
    assert stack.front.test().returncode == 0
    file = stack.front.folder / "modules-enabled/90-hubagent.conf"
    site = stack.front.folder / "conf.d/hubagent.conf"
    good = site.read_bytes()
    site.write_bytes(good + file.read_bytes())
    try:
        assert "directive is not allowed here" in stack.front.test().stderr
    finally:
        site.write_bytes(good)


def test_websockets_outlive_reloads(stack: Stack) -> None:
    with open_websocket(stack) as websocket:
        for size in (1, 2, 3):
            stack.front.switch(replace(stack.site, max_body_bytes=size * 1024**2))
            assert echoes(websocket)
        stack.front.switch(stack.site)
        assert echoes(websocket)


def test_websocket_drain_ends_them(stack: Stack) -> None:
    """The worker obeys the value it was started with, so the drain counts from the reload after."""
    short = stack.front.switch(replace(stack.site, websocket_drain_s=0.5))
    with open_websocket(stack) as websocket:
        began = time.monotonic()
        stack.front.switch(replace(short, max_body_bytes=1))
        assert websocket.recv(4096) == b""
        took = time.monotonic() - began
    stack.front.switch(stack.site)
    # nginx waits 0.1 s between starting new workers and retiring old ones.
    assert 0.5 <= took < 10.0


def test_retired_workers_leave_when_nobody_is_connected(stack: Stack) -> None:
    old = stack.front.workers()
    stack.front.switch(replace(stack.site, max_body_bytes=1))
    stack.front.switch(stack.site)
    wait_until(lambda: not old & stack.front.workers(), "retired workers leave")


def test_a_renewed_certificate_changes_the_marker_and_is_served(stack: Stack) -> None:
    renewed = replace(stack.site, certificate_sha256="1" * 64)
    assert stack.front.switch(renewed).marker != stack.site.marker
    stack.front.switch(stack.site)


def test_a_file_that_nginx_refuses_leaves_the_old_one_serving(stack: Stack) -> None:
    """The signal is only a request: nginx keeps what it has, and the marker tells."""
    file = stack.front.folder / "conf.d/hubagent.conf"
    good = file.read_bytes()
    file.write_bytes(good.replace(b"server_tokens off;", b"server_tokens perhaps;"))
    try:
        assert stack.front.test().returncode != 0
        stack.front.reload()
        wait_until(lambda: "perhaps" in stack.front.error_log.read_text(), "nginx refuses")
        answer = ask(stack.site.https_port, "/-/hubagent", host=HOST)
        assert answer.body.decode() == stack.site.marker
    finally:
        file.write_bytes(good)


def test_idle_connections_are_kept_where_the_version_can(stack: Stack) -> None:
    """From 1.27.4 on (keepalive_min_timeout) a request soon after a reload finds its connection alive."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.site.https_port, timeout=20)
    connection.connect()
    connection.sock = context().wrap_socket(connection.sock, server_hostname=HOST)

    def status() -> int:
        connection.request("GET", "/hub/login", headers={"Host": HOST})
        answer = connection.getresponse()
        answer.read()
        return answer.status

    assert status() == 200
    stack.front.switch(replace(stack.site, max_body_bytes=1))
    try:
        if stack.site.version >= (1, 27, 4):
            assert status() == 200
        else:
            with pytest.raises((http.client.RemoteDisconnected, ConnectionError)):
                status()
    finally:
        connection.close()
        stack.front.switch(stack.site)
