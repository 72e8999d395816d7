"""The server of agent and homes helper, where neither can be brought to: tests/contract has all else, for each of them."""

from __future__ import annotations

import contextlib
import os
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.request_server import Answer, Limits, Refusals, RequestServer, listen_at
from tests.waiting import wait_until

LIMITS = Limits(workers=2, waiting=0, request_s=20.0, idle_s=0.0, stop_s=20.0)
REFUSALS = Refusals(
    busy=wire.Refused("busy", "later"),
    failed=wire.Refused("home", "a fault"),
    stranger=wire.Refused("not_allowed", "no"),
    misunderstood="what? ",
)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "socket"


US = frozenset({os.getuid()})


@contextmanager
def _serving(path: Path, answer: Answer, users: frozenset[int] = US) -> Iterator[RequestServer]:
    server = RequestServer("tested", answer, requests=(wire.ListSlots,), limits=LIMITS, refusals=REFUSALS)
    server.start(listen_at(path, 0o600), users)
    try:
        yield server
    finally:
        server.stop()


def _done(request: object, connection: socket.socket, lasting: ExitStack) -> object:
    return wire.Done()


def _answer(path: Path) -> object:
    """To a request that is sent while there is a connection for it; a refusal may come before."""
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(str(path))
        with contextlib.suppress(wire.WireError):  # refused already; the answer is there
            wire.send(connection, wire.ListSlots(), timeout_s=20.0)
        return wire.receive(connection, wire.Done, wire.Refused, timeout_s=20.0)


def _threads() -> int:
    return sum(thread.name == "tested" for thread in threading.enumerate())


def test_where_no_thread_can_be_had_it_is_busy_and_goes_on(path: Path) -> None:
    with _serving(path, _done):
        before = threading.stack_size(2**47 - 4096)  # more than there are addresses
        try:
            assert _answer(path) == REFUSALS.busy
        finally:
            threading.stack_size(before)
        assert _answer(path) == wire.Done()


def test_who_may_not_ask_is_told_so(path: Path) -> None:
    with _serving(path, _done, frozenset()):
        assert _answer(path) == REFUSALS.stranger


def test_workers_that_need_not_stay_leave_at_once(path: Path) -> None:
    with _serving(path, _done):
        for _ in range(3):
            assert _answer(path) == wire.Done()
            wait_until(lambda: _threads() == 0, timeout_s=20.0)


@pytest.mark.parametrize("fails", ["the answer", "what lasts"])
def test_no_fault_costs_a_worker(path: Path, fails: str, caplog: pytest.LogCaptureFixture) -> None:
    def fault() -> None:
        raise ZeroDivisionError

    def answer(request: object, connection: socket.socket, lasting: ExitStack) -> object:
        if fails == "the answer":
            fault()
        lasting.callback(fault)
        return wire.Done()

    with _serving(path, answer):
        for _ in range(2 * LIMITS.workers):
            assert _answer(path) == (REFUSALS.failed if fails == "the answer" else wire.Done())
            wait_until(lambda: _threads() == 0, timeout_s=20.0)
    assert "ZeroDivisionError" in caplog.text


def test_it_says_how_many_requests_are_not_over(path: Path) -> None:
    gate = threading.Event()

    def answer(request: object, connection: socket.socket, lasting: ExitStack) -> object:
        lasting.callback(gate.wait, 60.0)
        return wire.Done()

    server = RequestServer(
        "tested",
        answer,
        requests=(wire.ListSlots,),
        limits=Limits(workers=2, waiting=0, request_s=20.0, idle_s=0.0, stop_s=0.1),
        refusals=REFUSALS,
    )
    server.start(listen_at(path, 0o600), US)
    assert _answer(path) == wire.Done(), "which does not wait for what lasts"
    assert server.stop() == 1
    gate.set()
    wait_until(lambda: _threads() == 0, timeout_s=20.0)
    assert server.stop() == 0


@pytest.mark.parametrize("make", [Path.mkdir, Path.touch])
def test_what_is_no_folder_is_replaced(path: Path, make: Callable[[Path], None]) -> None:
    make(path)
    if path.is_dir():
        with pytest.raises(OSError, match="directory"):
            listen_at(path, 0o600)
        assert path.is_dir()
    else:
        with listen_at(path, 0o640):
            assert path.is_socket()
            assert path.stat().st_mode & 0o777 == 0o640
