"""A password that is shown once is gone when it was delivered, and not before: real files, pipes, sockets, terminals."""

from __future__ import annotations

import json
import os
import pty
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent.adapters.files.delivery import deliver
from hubagent.errors import DeliveryError

ROOT = Path(__file__).parents[2]
PROGRAM = """
import sys
from pathlib import Path
from hubagent.adapters.files.store import LocalFileStore
from hubagent.errors import DeliveryError
from hubagent.cli.first_login import FirstLogins, show
from hubagent.layout import Layout
logins = FirstLogins(LocalFileStore(), Layout(Path(sys.argv[1])), ("Ada", "bob", "carl", "dora"))
found = logins.logins(logins.chosen(tuple(sys.argv[3:])), lambda: ("carl",))
try:
    sys.exit(show(logins, found, as_json=sys.argv[2] == "json"))
except DeliveryError as error:
    print(error, file=sys.stderr)
    sys.exit(9)
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """As the hub leaves it: two admins are new, one has chosen a password, one was shown theirs."""
    folder = tmp_path / "var/lib/jupyterhub/one-time"
    folder.mkdir(parents=True)
    (folder / "ada").write_text("aaaaa-11111\n")
    (folder / "bob").write_text("bbbbb-22222\n")
    (folder / ".dora.new").write_text("half")
    return folder


def _run(folder: Path, then: str, how: str = "text") -> subprocess.CompletedProcess[str]:
    """The command with its output going as a shell sends it."""
    return subprocess.run(
        [
            "bash",
            "-c",
            f'set -o pipefail; "$@" {then}',
            "bash",
            sys.executable,
            "-c",
            PROGRAM,
            *_arguments(folder, how),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


def _arguments(folder: Path, how: str) -> list[str]:
    return [str(folder.parents[3]), how]


def _left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_it_is_shown_to_whoever_reads_and_then_gone(folder: Path) -> None:
    done = _run(folder, "| cat")
    assert done.stdout == "First login as ada: aaaaa-11111\nFirst login as bob: bbbbb-22222\n"
    assert done.returncode == 0
    assert _left(folder) == []
    assert "carl: has chosen a password already; the first one was used" in done.stderr
    assert "dora: the first password was shown before" in done.stderr
    again = _run(folder, "| cat")
    assert (again.returncode, again.stdout) == (1, "")
    assert "hubagent first-login --new ada makes another one" in again.stderr


def test_as_json(folder: Path) -> None:
    done = _run(folder, "", "json")
    found = {login["name"]: (login["state"], login["password"]) for login in json.loads(done.stdout)}
    assert found == {
        "ada": ("waits", "aaaaa-11111"),
        "bob": ("waits", "bbbbb-22222"),
        "carl": ("used", None),
        "dora": ("shown", None),
    }
    assert (done.returncode, _left(folder)) == (0, [])


@pytest.mark.parametrize("how", ["text", "json"])
@pytest.mark.parametrize(
    "then",
    ["| true", "| head -c 0", "> /dev/full", "> /dev/null", ">&-", "| (exec <&-; sleep 0.2)"],
)
def test_what_nobody_saw_is_kept(folder: Path, then: str, how: str) -> None:
    done = _run(folder, then, how)
    assert done.returncode == 9
    assert "standard output" in done.stderr
    assert _left(folder) == ["ada", "bob"]
    assert (folder / "ada").read_text() == "aaaaa-11111\n"


def test_who_reads_one_line_has_one_password(folder: Path) -> None:
    """`| head -n 1` reads whatever has come, and that is the first alone."""
    done = _run(folder, "| head -n 1")
    assert done.stdout == "First login as ada: aaaaa-11111\n"
    assert _left(folder) == ["bob"]


def test_a_file_on_a_full_disk_takes_none(folder: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", disk], check=True)
    try:
        (disk / "filled").write_bytes(b"x" * 4096)
        assert _run(folder, f"> {disk}/out").returncode == 9
    finally:
        subprocess.run(["umount", disk], check=True)
    assert _left(folder) == ["ada", "bob"]
    assert _run(folder, f"> {tmp_path}/out").returncode == 0
    assert "aaaaa-11111" in (tmp_path / "out").read_text()
    assert _left(folder) == []


def test_a_terminal_takes_it(folder: Path) -> None:
    leader, follower = pty.openpty()
    try:
        command = [sys.executable, "-c", PROGRAM, *_arguments(folder, "text")]
        subprocess.run(command, cwd=ROOT, stdout=follower, stderr=subprocess.DEVNULL, check=True, timeout=120)
        assert b"First login as ada: aaaaa-11111" in os.read(leader, 4096)
    finally:
        os.close(leader)
        os.close(follower)
    assert _left(folder) == []


@pytest.fixture(params=["pipe", "socket"])
def ends(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """Of something between two processes: to read from and to write to."""
    if request.param == "pipe":
        reading, writing = os.pipe()
    else:
        one, other = socket.socketpair()
        reading, writing = one.detach(), other.detach()
    yield reading, writing
    os.close(writing)


def test_sent_is_not_taken(ends: tuple[int, int]) -> None:
    reading, writing = ends
    with pytest.raises(DeliveryError, match="nobody read standard output"):
        deliver(writing, b"secret\n", within_s=0.1)
    os.close(reading)
    with pytest.raises(DeliveryError, match="standard output"):
        deliver(writing, b"secret\n", within_s=0.1)
