"""pool.ports.Guests: the fake and the folders with sockets give the same answers, and what containers put
there leads nowhere."""

from __future__ import annotations

import os
import socket
import stat
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.adapters.net.guests import SocketGuests
from hubagent.errors import GuestError
from hubagent.pool.ports import Guests
from tests.fakes import FakeGuests

GUEST = "0123456789ab"
SETTINGS = wire.GuestSettings(mode="cold")
BECOME = wire.Become({"TOKEN": "swordfish"}, ("jupyterhub-singleuser",), "/home/jovyan/work", 0, 0)
PONG = wire.Pong(ready=True, detail="", kernels={"julia": 1}, pluto=False)
PROOF = wire.Proof("/usr/bin/python3", ("json",), {"python3": "python"}, "", 1.5)


@dataclass
class Launcher:
    """A guest in a thread, on a socket in its folder."""

    folder: Path
    answer: object = field(default_factory=wire.Done)
    became: list[wire.Become] = field(default_factory=list)

    def start(self) -> threading.Thread:
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(str(self.folder / wire.GUEST_SOCKET))
        listener.listen()
        thread = threading.Thread(target=self._serve, args=(listener,), daemon=True)
        thread.start()
        return thread

    def _serve(self, listener: socket.socket) -> None:
        with listener:
            while not self.became:
                connection, _ = listener.accept()
                with connection:
                    request = wire.receive(connection, wire.Ping, wire.Become, timeout_s=10.0)
                    if isinstance(request, wire.Become):
                        self.became.append(request)
                        wire.send(connection, self.answer, timeout_s=5.0)
                    else:
                        wire.send(connection, PONG, timeout_s=5.0)


@dataclass
class World:
    guests: Guests
    fake: FakeGuests | None
    folder: Path
    threads: list[threading.Thread] = field(default_factory=list)
    pipe: int | None = None

    def listen(self, *, refuses: str = "") -> None:
        if self.fake is not None:
            self.fake.listen(GUEST, PONG)
            if refuses:
                self.fake.refuse(GUEST, refuses)
            return
        answer = wire.Refused("guest", refuses) if refuses else wire.Done()
        self.threads.append(Launcher(self.folder / GUEST / "socket", answer).start())

    def say(self, spares: wire.Spares) -> None:
        if self.fake is not None:
            self.fake.say_spares(GUEST, spares)
            return
        if self.pipe is None:
            self.pipe = os.open(self.folder / GUEST / "socket" / wire.GUEST_SPARES, os.O_RDWR)
        os.write(self.pipe, wire.to_json(spares) + b"\n")


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    if request.param == "fake":
        fake = FakeGuests(listens=False)
        yield World(fake, fake, tmp_path)
        return
    world = World(SocketGuests(tmp_path), None, tmp_path)
    yield world
    for thread in world.threads:
        thread.join(10.0)
    if world.pipe is not None:
        os.close(world.pipe)


def test_a_guest_is_prepared_asked_and_becomes_once(world: World) -> None:
    assert world.guests.known() == ()
    assert world.guests.prepare(GUEST, SETTINGS).endswith(f"/{GUEST}/socket")
    assert world.guests.known() == (GUEST,)
    assert world.guests.ping(GUEST, timeout_s=1.0) is None
    world.listen()
    for _ in range(2):
        assert world.guests.ping(GUEST, timeout_s=5.0) == PONG
    world.guests.become(GUEST, BECOME, timeout_s=5.0)
    assert world.guests.ping(GUEST, timeout_s=1.0) is None
    with pytest.raises(GuestError, match=GUEST):
        world.guests.become(GUEST, BECOME, timeout_s=0.1)
    world.guests.forget(GUEST)
    assert world.guests.known() == ()


def test_a_guest_that_refuses_says_why(world: World) -> None:
    world.guests.prepare(GUEST, SETTINGS)
    world.listen(refuses="the home is another one")
    with pytest.raises(GuestError, match="refused: the home is another one"):
        world.guests.become(GUEST, BECOME, timeout_s=5.0)


def test_a_guest_that_does_not_listen_or_is_unknown(world: World) -> None:
    world.guests.prepare(GUEST, SETTINGS)
    for guest in (GUEST, "ffffffffffff"):
        with pytest.raises(GuestError, match=guest):
            world.guests.become(guest, BECOME, timeout_s=0.1)
        assert world.guests.ping(guest, timeout_s=0.1) is None
        assert world.guests.proof(guest) is None
    world.guests.forget("ffffffffffff")


def test_what_waits_in_a_users_server_is_what_it_said_last(world: World) -> None:
    assert world.guests.spares(GUEST) is None
    world.guests.prepare(GUEST, SETTINGS)
    assert world.guests.spares(GUEST) is None
    world.say(wire.Spares(2, 1, 900))
    world.say(wire.Spares(1, 0, 300))
    assert world.guests.spares(GUEST) == wire.Spares(1, 0, 300)
    assert world.guests.spares(GUEST) is None, "nothing since"


class TestReal:
    """Folders, and what a container may have put into them."""

    @pytest.fixture
    def guests(self, tmp_path: Path) -> SocketGuests:
        return SocketGuests(tmp_path / "guests")

    @pytest.fixture
    def shared(self, guests: SocketGuests) -> Path:
        return Path(guests.prepare(GUEST, SETTINGS))

    def test_only_root_and_the_container_reach_the_folder(self, shared: Path) -> None:
        modes = [
            stat.S_IMODE(folder.stat().st_mode) for folder in (shared, shared.parent, shared.parent.parent)
        ]
        assert modes == [0o777, 0o700, 0o700]
        settings = shared / wire.GUEST_SETTINGS
        assert stat.S_IMODE(settings.stat().st_mode) == 0o644
        assert wire.from_json(settings.read_bytes(), wire.GuestSettings) == SETTINGS

    def test_an_id_is_used_once(self, guests: SocketGuests, shared: Path) -> None:
        with pytest.raises(GuestError, match="cannot be made"):
            guests.prepare(GUEST, SETTINGS)

    def test_users_can_write_nothing_there_once_a_guest_became(
        self, guests: SocketGuests, shared: Path
    ) -> None:
        """It is memory of the machine, without a limit."""
        launcher = Launcher(shared)
        thread = launcher.start()
        (shared / "note").write_text("kept open by nobody")
        guests.become(GUEST, BECOME, timeout_s=5.0)
        thread.join(10.0)
        assert launcher.became == [BECOME]
        assert stat.S_IMODE(shared.stat().st_mode) == 0o755
        assert shared.stat().st_uid == 0
        assert sorted(os.listdir(shared)) == [wire.GUEST_SETTINGS, wire.GUEST_SPARES]
        assert stat.S_ISFIFO((shared / wire.GUEST_SPARES).lstat().st_mode), "which holds 64 KiB at most"

    def test_whatever_a_user_puts_into_the_pipe_or_its_place_is_no_more_than_a_wrong_number(
        self, guests: SocketGuests, shared: Path, tmp_path: Path
    ) -> None:
        pipe = shared / wire.GUEST_SPARES
        ours = os.open(pipe, os.O_RDWR | os.O_NONBLOCK)
        os.write(ours, wire.to_json(wire.Spares(1, 0, 300)) + b'\n{"verb": "Spares"\n\x00\n')
        assert guests.spares(GUEST) == wire.Spares(1, 0, 300)
        os.write(ours, b"x" * 65536)
        assert guests.spares(GUEST) is None
        os.close(ours)
        (tmp_path / "secret").write_bytes(wire.to_json(wire.Spares(7, 7, 7)))
        for put in (
            lambda: pipe.symlink_to(tmp_path / "secret"),
            lambda: pipe.write_bytes(wire.to_json(wire.Spares(7, 7, 7))),
            pipe.mkdir,
        ):
            pipe.unlink()
            put()
            assert guests.spares(GUEST) is None
            if pipe.is_dir():
                pipe.rmdir()
                pipe.touch()

    def test_become_waits_for_the_guest_to_listen(self, guests: SocketGuests, shared: Path) -> None:
        launcher = Launcher(shared)
        result: list[object] = []
        waiting = threading.Thread(target=lambda: result.append(guests.become(GUEST, BECOME, timeout_s=20.0)))
        waiting.start()
        thread = launcher.start()
        waiting.join(20.0)
        thread.join(20.0)
        assert result == [None]

    def test_a_guest_that_hangs_meets_the_deadline(self, guests: SocketGuests, shared: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(shared / wire.GUEST_SOCKET))
            listener.listen()
            with pytest.raises(GuestError, match="gave no answer"):
                guests.ping(GUEST, timeout_s=0.2)
            with pytest.raises(GuestError, match="gave no answer"):
                guests.become(GUEST, BECOME, timeout_s=0.2)

    def test_a_guest_that_died_does_not_listen(self, guests: SocketGuests, shared: Path) -> None:
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(shared / wire.GUEST_SOCKET))
        assert guests.ping(GUEST, timeout_s=1.0) is None

    def test_a_link_to_another_socket_is_not_followed(
        self, guests: SocketGuests, shared: Path, tmp_path: Path
    ) -> None:
        """Docker's, say: the user's secrets would go there."""
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(str(tmp_path / "docker.sock"))
            other.listen()
            other.settimeout(0.2)
            (shared / wire.GUEST_SOCKET).symlink_to(tmp_path / "docker.sock")
            with pytest.raises(GuestError, match="is not a socket"):
                guests.become(GUEST, BECOME, timeout_s=0.5)
            with pytest.raises(TimeoutError):
                other.accept()

    @pytest.mark.parametrize("make", [os.mkfifo, os.mkdir, Path.touch], ids=["pipe", "folder", "file"])
    def test_what_is_no_socket_is_not_talked_to(
        self, guests: SocketGuests, shared: Path, make: object
    ) -> None:
        make(shared / wire.GUEST_SOCKET)  # type: ignore[operator]
        with pytest.raises(GuestError, match="is not a socket"):
            guests.ping(GUEST, timeout_s=0.5)

    def test_a_proof_is_read(self, guests: SocketGuests, shared: Path) -> None:
        (shared / wire.GUEST_PROOF).write_bytes(wire.to_json(PROOF))
        assert guests.proof(GUEST) == PROOF

    def test_no_other_file_is_read_for_a_proof(
        self, guests: SocketGuests, shared: Path, tmp_path: Path
    ) -> None:
        proof = shared / wire.GUEST_PROOF
        (tmp_path / "secret").write_bytes(wire.to_json(PROOF))
        proof.symlink_to(tmp_path / "secret")
        with pytest.raises(GuestError, match="cannot be opened"):
            guests.proof(GUEST)
        proof.unlink()
        os.mkfifo(proof)
        with pytest.raises(GuestError, match="not a regular file"):
            guests.proof(GUEST)
        proof.unlink()
        proof.write_bytes(b"{" * 100)
        with pytest.raises(GuestError, match="cannot be read: not JSON"):
            guests.proof(GUEST)
        with proof.open("wb") as file:
            file.truncate(wire.MAX_BYTES + 1)
        with pytest.raises(GuestError, match="larger than"):
            guests.proof(GUEST)

    def test_forgetting_goes_through_no_link(
        self, guests: SocketGuests, shared: Path, tmp_path: Path
    ) -> None:
        home = tmp_path / "home"
        home.mkdir()
        (home / "thesis").write_text("years of work")
        (shared / "home").symlink_to(home)
        (shared / "deep" / "er").mkdir(parents=True)
        guests.forget(GUEST)
        assert (home / "thesis").read_text() == "years of work"
        assert not shared.parent.exists()

    @pytest.mark.parametrize("where", ["", "socket", "socket/a b"])
    def test_nothing_is_removed_where_something_is_mounted(
        self, guests: SocketGuests, shared: Path, tmp_path: Path, where: str
    ) -> None:
        home = tmp_path / "home"
        home.mkdir()
        (home / "thesis").write_text("years of work")
        point = shared.parent / where
        point.mkdir(exist_ok=True)
        _run("mount", "--bind", str(home), str(point))
        try:
            with pytest.raises(GuestError, match="is a mount point"):
                guests.forget(GUEST)
            assert (home / "thesis").exists()
        finally:
            _run("umount", str(point))
        guests.forget(GUEST)
        assert (home / "thesis").exists()
        assert guests.known() == ()


def _run(*command: str) -> None:
    subprocess.run(command, check=True)
