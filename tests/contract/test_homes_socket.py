"""The homes helper's socket: who may ask, and what strange messages do."""

from __future__ import annotations

import json
import os
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest

from hubagent import wire
from hubagent.helper.server import CONNECTIONS
from tests.contract.small_homes import SmallHomes
from tests.contract.test_homes import new_slot
from tests.waiting import wait_until

_ANSWER_S = 60.0  # of a helper that has no more than 2 s for whoever asks, on a machine however busy


@pytest.fixture(scope="module")
def real() -> Iterator[SmallHomes]:
    real = SmallHomes()
    try:
        real.start()
        yield real
    finally:
        real.close()


@contextmanager
def _connected(real: SmallHomes) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(_ANSWER_S)
        connection.connect(str(real.seen(real.layout.homes_socket)))
        yield connection


def _frame(value: object) -> bytes:
    body = value if isinstance(value, bytes) else json.dumps(value).encode()
    return wire.HEADER.pack(len(body)) + body


def _refusal(connection: socket.socket) -> wire.Refused:
    return wire.receive(connection, wire.Refused, timeout_s=_ANSWER_S)


@pytest.mark.parametrize(
    "sent",
    [
        _frame(b""),
        _frame(b"{"),
        _frame(b"\xff\xfe"),
        _frame([]),
        _frame(b"[" * 100_000),
        _frame({"v": 1, "verb": "Reboot"}),
        _frame({"v": 2, "verb": "ListSlots"}),
        _frame({"v": 1, "verb": "Detach"}),
        _frame({"v": 1, "verb": "Detach", "slot": 7}),
        _frame({"v": 1, "verb": "Detach", "slot": "000000000000", "lazily": True}),
        _frame({"v": 1, "verb": "Attach", "slot": "0" * 12, "source": "/", "folders": [{}]}),
        wire.encode(wire.Ping()),
        struct.pack(">I", wire.MAX_BYTES + 1),
        struct.pack(">I", 2**32 - 1) + b"{}",
    ],
)
def test_what_is_no_request_is_refused(real: SmallHomes, sent: bytes) -> None:
    with _connected(real) as connection:
        connection.sendall(sent)
        assert _refusal(connection).reason == "message"
    assert real.client.slots() == ()


def test_who_sends_slowly_is_cut_off_and_holds_up_nobody(real: SmallHomes) -> None:
    with ExitStack() as connections:
        slow = [connections.enter_context(_connected(real)) for _ in range(CONNECTIONS - 1)]
        for connection in slow:
            connection.sendall(b"\0\0")
        wait_until(lambda: _is_served(real), timeout_s=_ANSWER_S)
        for connection in slow:
            assert "no whole message" in _refusal(connection).message


def test_too_many_at_once_are_turned_away(real: SmallHomes) -> None:
    """So many that the first are not cut off yet, which a busy machine may take several tries for."""
    wait_until(lambda: _is_one_too_many(real), timeout_s=_ANSWER_S)
    wait_until(lambda: _is_served(real), timeout_s=_ANSWER_S)


def _is_one_too_many(real: SmallHomes) -> bool:
    with ExitStack() as connections:
        for _ in range(CONNECTIONS):
            connections.enter_context(_connected(real))
        with _connected(real) as one_more:
            return _refusal(one_more).reason == "busy"


def _is_served(real: SmallHomes) -> bool:
    try:
        with _connected(real) as connection:
            wire.send(connection, wire.ListSlots(), timeout_s=_ANSWER_S)
            answer = wire.receive(connection, wire.Slots, wire.Refused, timeout_s=_ANSWER_S)
    except (OSError, wire.WireError):
        return False
    return isinstance(answer, wire.Slots)


def test_who_hangs_up_is_forgotten(real: SmallHomes) -> None:
    slot = new_slot()
    for sent in (b"", b"\0", wire.encode(wire.Prepare(slot))[:-1]):
        with _connected(real) as connection:
            connection.sendall(sent)
    assert real.client.slots() == ()
    with _connected(real) as connection:
        connection.sendall(wire.encode(wire.Prepare(slot)))  # does not wait for the answer
    wait_until(lambda: real.client.slots() == (slot,), timeout_s=_ANSWER_S)
    real.client.detach(slot)


def test_a_connection_carries_one_request(real: SmallHomes) -> None:
    first, second = new_slot(), new_slot()
    with _connected(real) as connection:
        connection.sendall(wire.encode(wire.Prepare(first)) + wire.encode(wire.Prepare(second)))
        wire.receive(connection, wire.Prepared, timeout_s=_ANSWER_S)
    assert real.client.slots() == (first,)
    real.client.detach(first)


def test_a_replayed_request_does_nothing_new(real: SmallHomes) -> None:
    slot, home = new_slot(), real.home("ada")
    frames = [wire.encode(one) for one in (wire.Prepare(slot), wire.Attach(slot, home, ()))]
    answers: list[type[object]] = []
    for frame in [
        *frames,
        *frames,
        wire.encode(wire.Detach(slot)),
        wire.encode(wire.Detach(slot)),
        frames[1],
    ]:
        with _connected(real) as connection:
            connection.sendall(frame)
            answers.append(
                type(
                    wire.receive(
                        connection, wire.Prepared, wire.Attached, wire.Done, wire.Refused, timeout_s=_ANSWER_S
                    )
                )
            )
    taken = [wire.Prepared, wire.Attached, wire.Refused, wire.Refused, wire.Done, wire.Done, wire.Refused]
    assert answers == taken
    assert real.mounts() == ()


def test_only_root_may_ask(real: SmallHomes) -> None:
    path = real.seen(real.layout.homes_socket)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    program = "\n".join(
        [
            "import os, socket, sys",
            "connection = socket.socket(socket.AF_UNIX)",
            "os.setgid(65534), os.setuid(65534)",
            "connection.connect(f'/proc/self/fd/{sys.argv[1]}/socket')",
            "sys.stdout.buffer.write(connection.makefile('rb').read())",
        ]
    )
    path.chmod(0o666)  # somebody's mistake
    path.parent.chmod(0o711)
    folder = os.open(path.parent, os.O_PATH)
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], pass_fds=[folder], capture_output=True
    )
    os.close(folder)
    path.chmod(0o600)
    path.parent.chmod(0o700)
    assert done.returncode == 0, done.stderr
    answer = wire.from_json(done.stdout[wire.HEADER.size :], wire.Refused)
    assert answer.reason == "not_allowed"
