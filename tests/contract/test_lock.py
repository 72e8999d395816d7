"""One hubagent at a time."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hubagent.adapters.files.lock import InstanceLock
from hubagent.errors import BusyError, StorageError

_HOLD = (
    "import sys; from pathlib import Path; from hubagent.adapters.files.lock import InstanceLock\n"
    "with InstanceLock(Path(sys.argv[1])):\n"
    "    print('held', flush=True); sys.stdin.read()\n"
)


def test_the_second_is_told_who_holds_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with subprocess.Popen(
        [sys.executable, "-c", _HOLD, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(BusyError, match=rf"\(process {holder.pid}\).*{path}"):
            InstanceLock(path).acquire()
        assert InstanceLock(path).holder() == holder.pid
        holder.send_signal(signal.SIGKILL)
        holder.wait()
    with InstanceLock(path):  # the kernel took it from the dead
        assert path.read_text() == f"{os.getpid()}\n"


def test_it_can_be_taken_again_after_release(tmp_path: Path) -> None:
    lock = InstanceLock(tmp_path / "lock")
    for _ in range(2):
        with lock, pytest.raises(BusyError):
            InstanceLock(tmp_path / "lock").acquire()


@pytest.mark.parametrize("content", [None, b"", b"nobody\n"])
def test_a_file_that_names_nobody_has_no_holder(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "lock").write_bytes(content)
    with pytest.raises(BusyError, match="does not say by whom"):
        InstanceLock(tmp_path / "lock").holder()


def test_children_do_not_inherit_it(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    lock = InstanceLock(path)
    lock.acquire()
    with subprocess.Popen(["sleep", "60"], close_fds=False) as child:
        lock.release()
        with InstanceLock(path):
            pass
        child.kill()


def test_a_replaced_file_does_not_split_the_lock(tmp_path: Path) -> None:
    path = tmp_path / "lock"
    with InstanceLock(path):
        path.unlink()
        with InstanceLock(path), pytest.raises(BusyError):
            InstanceLock(path).acquire()


def test_the_file_is_for_root_alone(tmp_path: Path) -> None:
    with InstanceLock(tmp_path / "lock"):
        assert (tmp_path / "lock").stat().st_mode & 0o777 == 0o600


def test_no_folder_or_a_link_in_its_place_is_said(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("elsewhere")
    for name in ("absent/lock", "link"):
        with pytest.raises(StorageError, match=f"{tmp_path / name}: cannot be locked"):
            InstanceLock(tmp_path / name).acquire()
    assert not (tmp_path / "elsewhere").exists()


def test_a_disk_without_room_for_the_holders_name_has_room_for_the_lock(tmp_path: Path) -> None:
    folder = tmp_path / "full"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", folder], check=True)
    try:
        (folder / "filler").write_bytes(bytes(4096))
        with (
            InstanceLock(folder / "lock"),
            pytest.raises(BusyError, match="its process is not known yet"),
        ):
            InstanceLock(folder / "lock").acquire()
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)
