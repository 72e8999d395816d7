"""The hub's socket: who is answered, what garbage does to it, and how many at once."""

from __future__ import annotations

import os
import pwd
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.adapters.net.spawn_socket import LIMITS, SpawnServer
from hubagent.errors import StorageError
from hubagent.pool.broker import REQUESTS
from tests.waiting import wait_until

OWNER = "nobody"


def _inspected(request: object) -> object:
    assert isinstance(request, wire.Inspect)
    return wire.Inspected(present=True, id=request.name)


@contextmanager
def _serving(
    path: Path, answer: Callable[[object], object] = _inspected, **settings: float
) -> Iterator[SpawnServer]:
    limits = replace(LIMITS, **settings)  # type: ignore[arg-type]
    server = SpawnServer(path, answer, requests=REQUESTS, owner=OWNER, limits=limits)
    server.start()
    try:
        yield server
    finally:
        server.stop()


def _connect(path: Path) -> socket.socket:
    connection = socket.socket(socket.AF_UNIX)
    connection.settimeout(20.0)
    connection.connect(str(path))
    return connection


def _ask(path: Path, request: object) -> object:
    with _connect(path) as connection:
        wire.send(connection, request, timeout_s=5.0)
        return wire.receive(connection, wire.Inspected, wire.Refused, timeout_s=20.0)


def _raw(path: Path, data: bytes) -> object:
    """The answer to these bytes."""
    with _connect(path) as connection:
        connection.sendall(data)
        return wire.receive(connection, wire.Inspected, wire.Refused, timeout_s=20.0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "spawn.sock"


def test_a_request_is_answered_on_its_connection(path: Path) -> None:
    with _serving(path):
        for name in ("a", "b"):
            assert _ask(path, wire.Inspect(name)) == wire.Inspected(present=True, id=name)
    assert not path.exists()


def test_only_its_group_reaches_the_socket(path: Path) -> None:
    with _serving(path):
        found = path.stat()
        assert found.st_mode & 0o777 == 0o660
        assert (found.st_uid, found.st_gid) == (0, pwd.getpwnam(OWNER).pw_gid)
        assert os.listdir(path.parent) == [path.name]


@pytest.mark.parametrize(("user", "is_answered"), [("nobody", True), ("daemon", False)])
def test_only_the_hub_and_root_are_answered(path: Path, user: str, is_answered: bool) -> None:
    """Even where somebody else gets hold of the socket."""
    path.parent.chmod(0o755)
    for folder in path.parents:
        if folder.stat().st_uid == 0 and folder != Path("/"):
            folder.chmod(folder.stat().st_mode | 0o055)
    with _serving(path):
        path.chmod(0o666)
        assert _ask_as(user, path) is is_answered


def _ask_as(user: str, path: Path) -> bool:
    """Whether a process of this user gets an answer."""
    uid = pwd.getpwnam(user).pw_uid
    child = os.fork()
    if child == 0:
        status = 2
        try:
            os.setgroups([])
            os.setgid(65534)
            os.setuid(uid)
            status = 0 if isinstance(_ask(path, wire.Inspect("a")), wire.Inspected) else 1
        except wire.WireError:
            status = 1
        finally:
            os._exit(status)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    assert status in (0, 1)
    return status == 0


GARBAGE = {
    "no JSON": struct.pack(">I", 3) + b"abc",
    "empty": struct.pack(">I", 0),
    "too large": struct.pack(">I", wire.MAX_BYTES + 1),
    "far too large": b"\xff\xff\xff\xff",
    "HTTP": b"GET / HTTP/1.1\r\n\r\n",
    "an answer": wire.encode(wire.Done()),
    "the guest's": wire.encode(wire.Ping()),
    "another version": struct.pack(">I", 38) + b'{"v": 99, "verb": "Inspect", "name":1}',
    "a wrong type": struct.pack(">I", 38) + b'{"v": 1, "verb": "Inspect", "name": 1}',
    "deep": struct.pack(">I", 100_000) + b"[" * 100_000,
}


@pytest.mark.parametrize("data", GARBAGE.values(), ids=GARBAGE.keys())
def test_what_is_no_request_is_refused(path: Path, data: bytes) -> None:
    with _serving(path):
        answer = _raw(path, data)
        assert isinstance(answer, wire.Refused)
        assert answer.reason == "message"
        assert isinstance(_ask(path, wire.Inspect("a")), wire.Inspected), "and the next is answered"


def test_a_request_that_never_ends_costs_its_deadline_alone(path: Path) -> None:
    with _serving(path, workers=1, request_s=0.2), _connect(path) as slow:
        slow.sendall(wire.encode(wire.Inspect("a"))[:7])
        assert isinstance(_ask(path, wire.Inspect("b")), wire.Inspected)
        answer = wire.receive(slow, wire.Refused, timeout_s=5.0)
        assert answer.reason == "message"


def test_a_peer_that_goes_away_costs_nothing(path: Path) -> None:
    gate = threading.Event()

    def answer(request: object) -> object:
        gate.wait(20.0)
        return _inspected(request)

    with _serving(path, answer, workers=2):
        for _ in range(4):
            with _connect(path) as gone:
                wire.send(gone, wire.Inspect("a"), timeout_s=5.0)
        with _connect(path):
            pass
        gate.set()
        assert isinstance(_ask(path, wire.Inspect("b")), wire.Inspected)


def test_nothing_is_begun_for_a_peer_that_has_gone(path: Path) -> None:
    """A hub that was killed while its requests waited for their turn: its successor decides anew what is wanted."""
    gate = threading.Event()
    asked: list[object] = []

    def answer(request: object) -> object:
        asked.append(request)
        gate.wait(20.0)
        return _inspected(request)

    with _serving(path, answer, workers=1):
        with _connect(path) as first:
            wire.send(first, wire.Inspect("begun"), timeout_s=5.0)
            wait_until(lambda: bool(asked), timeout_s=20.0)
            with _connect(path) as gone:
                wire.send(gone, wire.Inspect("gone"), timeout_s=5.0)
            gate.set()
            assert isinstance(wire.receive(first, wire.Inspected, timeout_s=20.0), wire.Inspected)
        assert isinstance(_ask(path, wire.Inspect("next")), wire.Inspected)
    assert asked == [wire.Inspect("begun"), wire.Inspect("next")]


def test_as_many_as_there_are_workers_are_answered_side_by_side(path: Path) -> None:
    meeting = threading.Barrier(8)

    def answer(request: object) -> object:
        meeting.wait(20.0)
        return _inspected(request)

    answers: list[object] = []
    with _serving(path, answer, workers=8):
        threads = [
            threading.Thread(target=lambda: answers.append(_ask(path, wire.Inspect("a")))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert answers == [wire.Inspected(present=True, id="a")] * 8


def test_workers_that_a_rush_has_needed_leave_though_the_hub_goes_on_asking(path: Path) -> None:
    meeting = threading.Barrier(8)

    def answer(request: object) -> object:
        if request == wire.Inspect("rush"):
            meeting.wait(20.0)
        return _inspected(request)

    def workers() -> int:
        return sum(thread.name == "spawn" for thread in threading.enumerate())

    def asked_again() -> bool:
        _ask(path, wire.Inspect("a"))
        return workers() == 1

    with _serving(path, answer, idle_s=0.2), ThreadPoolExecutor(8) as hub:
        list(hub.map(lambda _: _ask(path, wire.Inspect("rush")), range(8)))
        assert workers() == 8
        wait_until(asked_again, lambda: f"{workers()} workers", timeout_s=20.0)
        assert _ask(path, wire.Inspect("b")) == wire.Inspected(present=True, id="b")


def test_more_than_can_wait_are_sent_away(path: Path) -> None:
    gate, working = threading.Event(), threading.Semaphore(0)

    def answer(request: object) -> object:
        working.release()
        gate.wait(20.0)
        return _inspected(request)

    with _serving(path, answer, workers=1, waiting=2):
        connections = [_connect(path)]
        wire.send(connections[0], wire.Inspect("a"), timeout_s=5.0)
        assert working.acquire(timeout=20.0)
        for _ in range(2):  # they wait
            connections.append(_connect(path))
            wire.send(connections[-1], wire.Inspect("a"), timeout_s=5.0)
        with _connect(path) as excess:
            refused = wire.receive(excess, wire.Refused, timeout_s=5.0)
        gate.set()
        for connection in connections:
            with connection:
                assert isinstance(wire.receive(connection, wire.Inspected, timeout_s=20.0), wire.Inspected)
    assert refused.reason == "busy"


def test_a_fault_of_ours_is_an_answer_too(path: Path, caplog: pytest.LogCaptureFixture) -> None:
    def answer(request: object) -> object:
        raise ZeroDivisionError

    with _serving(path, answer, workers=1):
        for _ in range(3):
            refused = _ask(path, wire.Inspect("a"))
            assert isinstance(refused, wire.Refused)
            assert refused.reason == "engine"
    assert "ZeroDivisionError" in caplog.text


def test_what_an_earlier_agent_left_is_replaced(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(path))
    with _serving(path):
        assert isinstance(_ask(path, wire.Inspect("a")), wire.Inspected)


def test_it_starts_and_stops_again_and_again(path: Path) -> None:
    server = SpawnServer(path, _inspected, requests=REQUESTS, owner=OWNER)
    for _ in range(3):
        server.start()
        assert isinstance(_ask(path, wire.Inspect("a")), wire.Inspected)
        server.stop()
    server.stop()


def test_stopping_does_not_wait_for_ever_for_a_peer(path: Path) -> None:
    with _serving(path, request_s=0.5) as server:
        with _connect(path):
            server.stop()
        wait_until(lambda: not path.exists(), timeout_s=5.0)


def test_stopping_gives_up_on_requests_that_do_not_end(path: Path) -> None:
    gate, working = threading.Event(), threading.Semaphore(0)

    def answer(request: object) -> object:
        working.release()
        gate.wait(60.0)
        return _inspected(request)

    connections = []
    with _serving(path, answer) as server:
        for _ in range(4):
            connections.append(_connect(path))
            wire.send(connections[-1], wire.Inspect("a"), timeout_s=5.0)
            assert working.acquire(timeout=20.0)
        server.stop()
        assert not gate.is_set()
        assert not path.exists()
    gate.set()
    for connection in connections:
        connection.close()


def test_where_it_cannot_listen_it_says_so(tmp_path: Path) -> None:
    server = SpawnServer(tmp_path / "absent" / "s", _inspected, requests=REQUESTS, owner=OWNER)
    with pytest.raises(StorageError, match="cannot listen there"):
        server.start()
    server = SpawnServer(tmp_path / "s", _inspected, requests=REQUESTS, owner="no-such-user")
    with pytest.raises(StorageError, match="there is no user no-such-user"):
        server.start()


def test_started_again_while_it_listens_it_goes_on(path: Path) -> None:
    with _serving(path) as server, _connect(path) as waiting:
        before = path.stat().st_ino
        server.start()
        assert path.stat().st_ino == before
        wire.send(waiting, wire.Inspect("a"), timeout_s=5.0)
        assert isinstance(wire.receive(waiting, wire.Inspected, timeout_s=20.0), wire.Inspected)


@pytest.mark.parametrize("how", ["removed", "replaced", "its folder"])
def test_a_socket_that_is_gone_is_made_anew_by_the_next_start(tmp_path: Path, how: str) -> None:
    path = tmp_path / "folder" / "spawn.sock"
    path.parent.mkdir()
    with _serving(path) as server:
        path.unlink()
        if how == "replaced":
            path.write_text("")
        elif how == "its folder":
            path.parent.rmdir()
            with pytest.raises(StorageError, match="cannot listen there"):
                server.start()
            path.parent.mkdir()
        server.start()
        assert isinstance(_ask(path, wire.Inspect("a")), wire.Inspected)


def test_what_is_in_the_way_is_left_alone_and_said(path: Path) -> None:
    (path / "somebodys").mkdir(parents=True)
    server = SpawnServer(path, _inspected, requests=REQUESTS, owner=OWNER)
    with pytest.raises(StorageError, match="cannot listen there"):
        server.start()
    server.stop()
    assert (path / "somebodys").is_dir()
    assert os.listdir(path.parent) == [path.name]
    (path / "somebodys").rmdir()
    path.rmdir()
    with _serving(path):
        assert isinstance(_ask(path, wire.Inspect("a")), wire.Inspected)
