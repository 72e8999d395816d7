"""Slow, rude and many clients: what they cost, and that others are served meanwhile."""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hubagent.web.server import MAX_CONNECTIONS
from tests.waiting import wait_until

from .client import Address, dial, get, read_all, send_raw
from .conftest import Rig

REQUEST = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"


def threads() -> int:
    return len(os.listdir("/proc/self/task"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@contextmanager
def crowd(address: Address, number: int, first_bytes: bytes) -> Iterator[list[socket.socket]]:
    """`number` open connections, each of which has sent `first_bytes` as soon as it could."""
    with ExitStack() as stack:
        sockets = []
        for _ in range(number):
            sock = stack.enter_context(dial(address, timeout_s=20))
            sock.sendall(first_bytes)
            sockets.append(sock)
        yield sockets


def test_a_slow_header_is_answered_408_in_time(hasty: Rig) -> None:
    address = hasty.serve()
    with dial(address) as sock:
        began = time.monotonic()
        answer = b""
        sock.settimeout(0.05)
        for byte in b"GET /metrics HTTP/1.1\r\nX-Slow: " + b"a" * 1000:
            try:
                sock.sendall(bytes((byte,)))
                answer = sock.recv(4096)
                break
            except TimeoutError:
                continue
        took_s = time.monotonic() - began
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert 0.3 < took_s < 3


def test_a_silent_connection_is_closed(hasty: Rig) -> None:
    with dial(hasty.serve()) as sock:
        assert read_all(sock) == b""


def test_an_idle_keep_alive_connection_is_closed_after_its_answer(hasty: Rig) -> None:
    with dial(hasty.serve()) as sock:
        sock.sendall(b"GET /healthz HTTP/1.1\r\n\r\n")
        assert read_all(sock).endswith(b"ok\n")  # ends because the server closes


def test_who_does_not_read_the_answer_is_cut_off(hasty: Rig) -> None:
    address = hasty.serve()
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 2048)
        sock.settimeout(5)
        sock.connect(address)
        wait_until(lambda: held(hasty) == 1)
        with contextlib.suppress(OSError):  # cut off while still asking
            for _ in range(200):  # for answers of tens of megabytes, far beyond what the kernel buffers
                sock.sendall(b"GET /metrics HTTP/1.1\r\n\r\n" * 20)
        wait_until(lambda: held(hasty) == 0)
    assert get(address).status == 200


@pytest.mark.parametrize("chunk", [b"X-A: b\r\n", b"a" * 1024])
def test_a_huge_header_is_refused_before_it_is_read(rig: Rig, chunk: bytes) -> None:
    address = rig.serve()
    grown = resident_bytes()
    refused = 0
    for _ in range(30):
        with dial(address) as sock:
            sock.sendall(b"GET /metrics HTTP/1.1\r\n")
            try:
                for _ in range(20 * 1024 * 1024 // len(chunk)):
                    sock.sendall(chunk)
            except OSError:
                refused += 1
    assert refused == 30
    gc.collect()
    assert resident_bytes() - grown < 8 * 1024**2
    assert get(address).status == 200


def test_a_long_header_within_the_limit_is_fine_and_beyond_is_431(rig: Rig) -> None:
    address = rig.serve()
    head = b"GET /healthz HTTP/1.1\r\nConnection: close\r\nX: "
    fits = head + b"a" * (8192 - len(head) - 4) + b"\r\n\r\n"
    assert send_raw(address, fits).startswith(b"HTTP/1.1 200 ")
    assert send_raw(address, head + b"a" * (8192 - len(head))).startswith(b"HTTP/1.1 431 ")


def test_a_thousand_slow_clients_do_not_keep_a_scrape_out(rig: Rig) -> None:
    address = rig.serve()
    get(address)
    before = threads(), resident_bytes()
    with crowd(address, 1000, b"GET /metrics HTTP/1.1\r\nX-Slow:") as sockets:
        began = time.monotonic()
        for _ in range(10):
            assert get(address).status == 200
        assert time.monotonic() - began < 5
        assert threads() == before[0]
        assert resident_bytes() - before[1] < 16 * 1024**2
        wait_until(lambda: held(rig) <= MAX_CONNECTIONS)
        assert len(sockets) == 1000
    dropped = get(address).text.partition("\nhubagent_http_connections_dropped_total ")[2]
    assert float(dropped.partition("\n")[0]) > 0
    wait_until(lambda: held(rig) == 0)


def test_a_thousand_scrapers_at_once_are_all_served(rig: Rig) -> None:
    address = rig.serve()
    get(address)
    before = threads(), descriptors()
    answers = []
    with crowd(address, 1000, REQUEST) as sockets:
        for sock in sockets:
            answers.append(read_all(sock))  # noqa: PERF401
    assert sum(answer.startswith(b"HTTP/1.1 200 ") for answer in answers) == 1000
    assert threads() == before[0]
    wait_until(lambda: descriptors() <= before[1])


def test_threads_and_descriptors_do_not_grow_with_requests(rig: Rig) -> None:
    address = rig.serve()
    get(address)
    before = threads(), descriptors()
    for n in range(300):
        get(address, ("/metrics", "/", "/nowhere")[n % 3])
    wait_until(lambda: threads() == before[0] and descriptors() <= before[1])


def held(rig: Rig) -> int:
    """Connections that the server holds."""
    return len(rig.exposition._connections)
