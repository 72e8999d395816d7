"""Homes where an admin has moved Docker's data: the real helper asks Docker itself, here a socket that answers alike.
(That Docker answers so is shown in tests/machine/test_pool.py.)"""

from __future__ import annotations

import json
import os
import signal
import socketserver
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from hubagent.errors import HomeError
from tests.contract.small_homes import GROUP, OWNER, SmallHomes
from tests.contract.test_homes import new_slot


@pytest.fixture
def moved() -> Iterator[SmallHomes]:
    """A machine whose helper is told nothing of where homes are."""
    homes = SmallHomes()
    try:
        homes.start(asks_docker=True)
        yield homes
    finally:
        homes.close()


def root_of(homes: SmallHomes, mode: int = 0o701) -> Path:
    """Docker's data folder, elsewhere than usual."""
    folder = homes.root / "data" / "docker"
    (folder / "volumes").mkdir(parents=True, exist_ok=True)
    (folder / "volumes").chmod(mode)
    return folder


def home_in(folder: Path, user: str = "ada") -> str:
    home = folder / "volumes" / user / "_data"
    home.mkdir(parents=True)
    os.chown(home, OWNER, GROUP)
    return str(home)


@contextmanager
def docker(homes: SmallHomes, answer: bytes) -> Iterator[list[bytes]]:
    """Answers every request so; what it was asked."""
    asked: list[bytes] = []

    class Handler(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            asked.append(self.rfile.readline())
            self.wfile.write(answer)

    path = homes.seen(homes.layout.docker_socket)
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield asked
        finally:
            server.shutdown()
            path.unlink()


def info(root: object) -> bytes:
    body = json.dumps({"ID": "x", "DockerRootDir": str(root)}).encode()
    return b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n" + body


def attach(homes: SmallHomes, source: str) -> str:
    slot = new_slot()
    homes.client.prepare(slot)
    homes.client.attach(slot, source, ())
    return slot


def test_a_home_is_attached_from_where_docker_says_that_its_data_lies(moved: SmallHomes) -> None:
    root = root_of(moved)
    source = home_in(root)
    with docker(moved, info(root)) as asked:
        slot = attach(moved, source)
        assert moved.mounts() == (str(moved.layout.homes / slot),)
        attach(moved, home_in(root, "bob"))
    assert asked == [b"GET /info HTTP/1.0\r\n"], "it is asked once"


def test_it_goes_on_while_docker_is_away_and_after_the_helper_has_begun_anew(moved: SmallHomes) -> None:
    root = root_of(moved)
    with docker(moved, info(root)):
        attach(moved, home_in(root))
    attach(moved, home_in(root, "bob"))
    moved.stop(signal.SIGTERM)
    moved.start(asks_docker=True)
    with docker(moved, info(root)):
        attach(moved, home_in(root, "cleo"))


def test_no_other_folder_is_a_home(moved: SmallHomes) -> None:
    root = root_of(moved)
    outside = moved.root / "data" / "secrets"
    outside.mkdir(parents=True, exist_ok=True)
    with docker(moved, info(root)):
        for source in (
            str(outside),
            str(root),
            str(root / "volumes"),
            f"{root}/volumes/../../secrets",
            "/etc",
        ):
            with pytest.raises(HomeError, match="where homes are"):
                attach(moved, source)
    assert not moved.mounts()


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (b"HTTP/1.0 500 Internal Server Error\r\n\r\n{}", "it answers 500"),
        (b"HTTP/1.0 200 OK\r\n\r\n{}", "DockerRootDir"),
        (b"HTTP/1.0 200 OK\r\n\r\n[1]", "Docker does not say"),
        (b"HTTP/1.0 200 OK\r\n\r\n{", "Docker does not say"),
        (b"", "Docker does not say"),
        (info("data/docker"), "Docker says that its data is stored in"),
        (info("/srv/../etc"), "Docker says that its data is stored in"),
        (info("/nowhere/docker"), "/nowhere/docker/volumes: cannot be opened"),
    ],
)
def test_what_docker_does_not_say_is_told(moved: SmallHomes, answer: bytes, said: str) -> None:
    with docker(moved, answer), pytest.raises(HomeError, match=said):
        attach(moved, home_in(root_of(moved)))


def test_while_docker_is_away_it_says_so(moved: SmallHomes) -> None:
    with pytest.raises(HomeError, match="Docker does not say where its data is stored: there is no such"):
        attach(moved, home_in(root_of(moved)))


@pytest.mark.parametrize("mode", [0o777, 0o771, 0o703])
def test_a_folder_that_others_may_write_to_holds_no_homes(moved: SmallHomes, mode: int) -> None:
    root = root_of(moved, mode)
    with (
        docker(moved, info(root)),
        pytest.raises(HomeError, match="users other than its owner may write there"),
    ):
        attach(moved, home_in(root))


def test_one_that_is_told_where_homes_are_asks_nobody() -> None:
    homes = SmallHomes()
    try:
        homes.start()
        root = root_of(homes)
        with docker(homes, info(root)) as asked:
            with pytest.raises(HomeError, match="is not a folder in"):
                attach(homes, home_in(root))
            attach(homes, homes.home("ada"))
        assert not asked
    finally:
        homes.close()
