"""What a guest does until it is claimed, and that it is claimed once."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.guest.control_socket import PATIENCE_S
from tests.guest.container import HOME, USER, Container, answer, terminate
from tests.waiting import wait_until

COMMAND = ("/bin/sh", "-c", 'echo "$SECRET" >result; exec sleep 60')


def result(guest: Container) -> str:
    file = guest.home / "result"
    return wait_until(lambda: file.exists() and file.read_text(), "the command ran")


def frame(body: bytes) -> bytes:
    return wire.HEADER.pack(len(body)) + body


def become(**changes: object) -> bytes:
    values: dict[str, object] = {
        "environment": {},
        "command": ["sleep", "60"],
        "home": HOME,
        "device": 0,
        "inode": 0,
    }
    values.update(changes)
    return frame(json.dumps({"v": wire.VERSION, "verb": "Become", **values}).encode())


def test_ping_as_often_as_wanted(guest: Container) -> None:
    for _ in range(3):
        assert guest.ask(wire.Ping()) == wire.Pong(True, "", {}, False)


def test_one_claim(guest: Container) -> None:
    path = guest.folder / "socket" / wire.GUEST_SOCKET
    assert guest.become({"SECRET": "of the first"}, *COMMAND) == wire.Done()
    assert not path.exists()
    assert result(guest) == "of the first\n"


def test_claims_at_once(guest: Container) -> None:
    """Of many that come together one is told Done, and the others nothing."""
    message = wire.encode(wire.Become({"SECRET": "x"}, COMMAND, HOME, 0, 0))
    peers = [guest.connect() for _ in range(8)]
    answers: list[object] = []

    def claim(peer: socket.socket) -> None:
        try:
            peer.sendall(message)
            answers.append(answer(peer))
        except (wire.WireError, OSError):
            answers.append(None)

    threads = [threading.Thread(target=claim, args=(peer,)) for peer in peers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for peer in peers:
        peer.close()
    assert answers.count(wire.Done()) == 1
    assert answers.count(None) == 7
    assert result(guest) == "x\n"


def test_another_home_than_the_one_attached(guest: Container) -> None:
    refused = guest.become({"SECRET": "x"}, *COMMAND, inode=guest.home.stat().st_ino + 1)
    assert isinstance(refused, wire.Refused)
    assert refused.reason == "home"
    assert guest.wait() == 1
    assert not (guest.home / "result").exists()


def test_no_home(guest: Container) -> None:
    refused = guest.become({}, *COMMAND, home="/home/nobody")
    assert refused == wire.Refused("home", "/home/nobody: No such file or directory")
    assert guest.wait() == 1


def test_no_such_program(guest: Container) -> None:
    refused = guest.become({}, "no-such-program")
    assert refused == wire.Refused("guest", "no-such-program: no such program in this image")
    assert guest.wait() == 127
    assert "no-such-program" in guest.output


@pytest.mark.parametrize(
    "data",
    [
        frame(b""),
        frame(b"nonsense"),
        frame(b"\xff\xfe"),
        frame(b"[" * 100_000),
        frame(b'{"v": 1, "verb": "Ping", "more": 1}'),
        frame(b'{"v": 2, "verb": "Ping"}'),
        frame(b'{"v": 1, "verb": "Remove", "name": "x"}'),
        wire.HEADER.pack(wire.MAX_BYTES + 1),
        b"GET / HTTP/1.1\r\n\r\n",
        become(command=[]),
        become(command=["a\0b"]),
        become(environment={"A=B": "c"}),
        become(environment={"": "c"}),
        become(environment={"A": "\ud800"}),
        become(environment={"A": 1}),
        become(home="work"),
    ],
    ids=range(16),
)
def test_what_is_no_message(guest: Container, data: bytes) -> None:
    """Refused, and neither the claim nor the guest is gone."""
    with guest.connect() as peer:
        peer.sendall(data)
        refused = answer(peer)
        assert isinstance(refused, wire.Refused)
        assert refused.reason == "message"
    assert guest.become({"SECRET": "x"}, *COMMAND) == wire.Done()


def test_peers_that_leave_or_say_nothing(guest: Container) -> None:
    """Others are answered meanwhile, and the slow ones refused in the end, for next to no processor time."""
    guest.connect().close()
    slow = [guest.connect() for _ in range(4)]
    slow[0].sendall(b"\0")
    slow[1].sendall(wire.HEADER.pack(100) + b"{")
    assert guest.ask(wire.Ping()) == wire.Pong(True, "", {}, False)
    woken = switches(guest)
    for peer in slow:
        peer.settimeout(PATIENCE_S * 5)
        assert answer(peer) == wire.Refused("message", "no whole message in time")
        peer.close()
    assert switches(guest) - woken < 50
    assert guest.become({"SECRET": "x"}, *COMMAND) == wire.Done()


def switches(guest: Container) -> int:
    """How often the waiting process gave up the processor."""
    lines = Path(f"/proc/{guest.pid}/status").read_text().splitlines()
    return int(next(line.split()[1] for line in lines if line.startswith("voluntary_ctxt_switches")))


def test_more_peers_than_are_served(guest: Container) -> None:
    peers = [guest.connect() for _ in range(30)]
    for peer in peers:
        peer.close()
    assert guest.ask(wire.Ping()) == wire.Pong(True, "", {}, False)


def test_a_message_in_pieces(guest: Container) -> None:
    data = wire.encode(wire.Ping())
    with guest.connect() as peer:
        for index in range(len(data)):
            peer.sendall(data[index : index + 1])
        assert answer(peer) == wire.Pong(True, "", {}, False)


def test_root_alone_may_speak(guest: Container) -> None:
    """An ordinary user cannot connect; where the path lets him, he is hung up on."""
    path = guest.folder / "socket" / wire.GUEST_SOCKET
    assert path.stat().st_mode & 0o077 == 0
    path.chmod(0o777)
    folder = os.open(path.parent, os.O_PATH)
    try:
        done = subprocess.run(
            [
                sys.executable,
                "-c",
                "import os, socket, sys\n"
                f"os.fchdir({folder}); os.setgroups([]); os.setgid({USER}); os.setuid({USER})\n"
                f"connection = socket.socket(socket.AF_UNIX); connection.connect({wire.GUEST_SOCKET!r})\n"
                f"connection.sendall({wire.encode(wire.Ping())!r})\n"
                "print(connection.recv(100))",
            ],
            pass_fds=[folder],
            capture_output=True,
            text=True,
            timeout=30,
        )
    finally:
        os.close(folder)
    assert (
        done.stdout.strip() == "b''" or "ConnectionResetError" in done.stderr or "BrokenPipe" in done.stderr
    )
    assert guest.ask(wire.Ping()) == wire.Pong(True, "", {}, False)


def test_it_ends_when_told(guest: Container) -> None:
    terminate(guest.pid)
    assert guest.wait() == 143


def test_a_server_that_ends_before_it_answers(new: Callable[..., Container]) -> None:
    guest = new()
    guest.start(wire.GuestSettings(mode="warm", modules=("tornado.web",)))
    environment = {
        "JUPYTERHUB_SERVICE_URL": "http://0.0.0.0:1/user/ann/",
        "JUPYTERHUB_SERVICE_PREFIX": "/user/ann/",
    }
    refused = guest.become(environment, "jupyterhub-singleuser", "--version-of-nothing")
    assert refused == wire.Refused("guest", "jupyterhub-singleuser ended before it answered")
    assert guest.wait() != 0


def test_a_module_that_cannot_be_imported(new: Callable[..., Container]) -> None:
    guest = new()
    guest.start(wire.GuestSettings(mode="warm", modules=("no_such_module", "antigravity_", "tornado.web")))
    pong = guest.ask(wire.Ping())
    assert isinstance(pong, wire.Pong)
    assert pong.ready
    assert "no_such_module: ModuleNotFoundError" in pong.detail
    assert "tornado" not in pong.detail
