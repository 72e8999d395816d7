"""The real file system's faults: full, read-only, torn, endless, killed in the middle."""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

import pytest

from hubagent.adapters.files.store import TEMPORARY_PREFIX, LocalFileStore
from hubagent.errors import StorageError
from tests.waiting import wait_until

_LIMIT = 1 << 20
_FS_IOC_SETFLAGS = 0x40086602  # ioctl_iflags(2), on 64-bit machines
_IMMUTABLE = 0x10


@pytest.fixture
def store() -> LocalFileStore:
    return LocalFileStore()


@pytest.fixture
def mount(tmp_path: Path) -> Iterator[Callable[[str], Path]]:
    """Mounts a tmpfs with the given options."""
    made: list[Path] = []

    def make(options: str) -> Path:
        path = tmp_path / f"mount{len(made)}"
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", path], check=True)
        made.append(path)
        return path

    yield make
    for path in made:
        subprocess.run(["umount", path], check=True)


def test_what_is_remembered_is_never_older_than_the_file(store: LocalFileStore, tmp_path: Path) -> None:
    """In place and by rename, same length, times set back: the inode's ctime tells."""
    path = tmp_path / "f"
    for content in (b"one", b"two", b"six"):
        before = path.stat() if path.exists() else None
        if content == b"two":
            path.write_bytes(content)
        else:
            store.write(path, content, mode=0o644)
        if before is not None:
            os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
        state = store.read(path, max_bytes=_LIMIT)
        assert state is not None
        assert state.content == content
        wait_until(
            lambda: store.read(path, max_bytes=_LIMIT) is store.read(path, max_bytes=_LIMIT), timeout_s=15.0
        )
    path.chmod(0o640)
    state = store.read(path, max_bytes=_LIMIT)
    assert state is not None
    assert state.mode == 0o640


def test_what_its_owner_alone_may_read_is_not_kept_in_memory(store: LocalFileStore, tmp_path: Path) -> None:
    for name, mode in (("key", 0o600), ("settled", 0o644)):
        store.write(tmp_path / name, b"x", mode=mode)

    def read(name: str) -> object:
        return store.read(tmp_path / name, max_bytes=_LIMIT)

    wait_until(
        lambda: read("settled") is read("settled"), timeout_s=15.0
    )  # so long ago that the other might be
    assert read("key") is not read("key")


def test_a_remembered_file_may_still_be_too_large(store: LocalFileStore, tmp_path: Path) -> None:
    store.write(tmp_path / "f", b"x" * 100, mode=0o644)
    wait_until(
        lambda: store.read(tmp_path / "f", max_bytes=100) is store.read(tmp_path / "f", max_bytes=100),
        timeout_s=15.0,
    )
    with pytest.raises(StorageError, match="more than the 99 allowed"):
        store.read(tmp_path / "f", max_bytes=99)


def test_a_full_disk_keeps_the_old_file_and_leaves_nothing(
    store: LocalFileStore, mount: Callable[[str], Path]
) -> None:
    full = mount("size=64k")
    store.write(full / "f", b"old", mode=0o644)
    with pytest.raises(StorageError, match=r"f: cannot be written: No space left on device; .*df -h"):
        store.write(full / "f", b"x" * 100_000, mode=0o644)
    assert store.list_dir(full) == ("f",)
    state = store.read(full / "f", max_bytes=_LIMIT)
    assert state is not None
    assert state.content == b"old"


def test_a_full_inode_table_is_a_full_disk(store: LocalFileStore, mount: Callable[[str], Path]) -> None:
    full = mount("size=1m,nr_inodes=2")
    store.write(full / "f", b"old", mode=0o644)
    changes: list[Callable[[], None]] = [
        lambda: store.write(full / "f", b"new", mode=0o644),
        lambda: store.link(full / "l", "f"),
        lambda: store.make_dir(full / "d", mode=0o755),
    ]
    for change in changes:
        with pytest.raises(StorageError, match=r"No space left on device; .*df -i"):
            change()
    assert store.list_dir(full) == ("f",)


def test_a_read_only_file_system_is_named(store: LocalFileStore, mount: Callable[[str], Path]) -> None:
    fixed = mount("ro")
    changes: list[Callable[[], None]] = [
        lambda: store.write(fixed / "f", b"", mode=0o644),
        lambda: store.make_dir(fixed / "d", mode=0o755),
        lambda: store.link(fixed / "l", "x"),
    ]
    for change in changes:
        with pytest.raises(StorageError, match=r"Read-only file system; .*remount"):
            change()


def test_free_space_is_that_of_the_file_system(store: LocalFileStore, mount: Callable[[str], Path]) -> None:
    assert store.free_bytes(mount("size=64k")) == 65536


def test_a_fifo_without_a_writer_does_not_block(store: LocalFileStore, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    begin = time.monotonic()
    with pytest.raises(StorageError, match="is a FIFO"):
        store.read(tmp_path / "fifo", max_bytes=_LIMIT)
    assert time.monotonic() - begin < 1.0


@pytest.mark.parametrize(
    ("path", "kind"), [("/dev/zero", "character device"), ("/dev/tty", "character device")]
)
def test_devices_are_refused(store: LocalFileStore, path: str, kind: str) -> None:
    with pytest.raises(StorageError, match=f"{path}: is a {kind}"):
        store.read(Path(path), max_bytes=_LIMIT)


def test_a_gigabyte_is_refused_unread(store: LocalFileStore, tmp_path: Path) -> None:
    with (tmp_path / "huge").open("wb") as huge:
        huge.truncate(1 << 30)
    begin = time.process_time()
    with pytest.raises(StorageError, match="has 1073741824 bytes"):
        store.read(tmp_path / "huge", max_bytes=_LIMIT)
    assert time.process_time() - begin < 0.1


def test_a_file_that_never_stands_still_is_said_so(store: LocalFileStore, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"")
    stopping = threading.Event()

    def keep_changing() -> None:
        turn = 0
        while not stopping.is_set():
            turn += 1
            os.truncate(path, 500_000 + turn % 1000)

    writer = threading.Thread(target=keep_changing)
    writer.start()
    try:
        with pytest.raises(StorageError, match=r"f: changed while it was read"):
            wait_until(lambda: store.read(path, max_bytes=_LIMIT) is None, timeout_s=10.0)
    finally:
        stopping.set()
        writer.join()
    assert store.read(path, max_bytes=_LIMIT) is not None


def test_a_reader_sees_the_old_or_the_new_file(store: LocalFileStore, tmp_path: Path) -> None:
    path = tmp_path / "f"
    contents = [b"a" * 50_000, b"b" * 60_000]
    store.write(path, contents[0], mode=0o644)
    done = threading.Event()
    seen: list[bytes] = []

    def look() -> None:
        while not done.is_set():
            seen.append(path.read_bytes())

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for turn in range(30):
            store.write(path, contents[turn % 2], mode=0o644)
    finally:
        done.set()
        reader.join()
    assert set(seen) <= set(contents)


def test_killed_at_any_moment_the_file_is_whole(store: LocalFileStore, tmp_path: Path) -> None:
    program = (
        "import sys; from pathlib import Path; from hubagent.adapters.files.store import LocalFileStore\n"
        "store, path = LocalFileStore(), Path(sys.argv[1])\n"
        "for turn in range(10**9):\n"
        "    store.write(path, bytes([97 + turn % 26]) * (1000 + turn % 26), mode=0o600)\n"
    )
    path = tmp_path / "f"
    for pause_s in (0.0, 0.003, 0.007, 0.011, 0.013):
        path.unlink(missing_ok=True)
        with subprocess.Popen([sys.executable, "-c", program, path]) as writer:
            wait_until(path.exists, timeout_s=10.0)
            end = time.monotonic() + pause_s
            wait_until(lambda end=end: time.monotonic() >= end, timeout_s=1.0)  # type: ignore[misc]
            writer.send_signal(signal.SIGKILL)
        content = path.read_bytes()
        assert content == content[:1] * (1000 + content[0] - 97)
        assert all(name == "f" or name.startswith(TEMPORARY_PREFIX) for name in store.list_dir(tmp_path))


def test_a_write_makes_its_steps_in_the_order_that_survives_power_cuts(
    store: LocalFileStore, tmp_path: Path
) -> None:
    steps = _system_calls(lambda: store.write(tmp_path / "f", b"secret", mode=0o600))
    wanted = ["fchown", "fchmod", "write", "fsync", "replace", "open", "fsync"]
    assert [step for step in steps if step in wanted][-len(wanted) :] == wanted


def test_a_link_is_turned_in_one_step_and_synced(store: LocalFileStore, tmp_path: Path) -> None:
    steps = _system_calls(lambda: store.link(tmp_path / "l", "x"))
    assert [step for step in steps if step in ("symlink", "replace", "fsync", "unlink")] == [
        "symlink",
        "replace",
        "fsync",
    ]


def test_the_umask_changes_nothing(store: LocalFileStore, tmp_path: Path) -> None:
    for mask in (0o000, 0o777):
        before = os.umask(mask)
        try:
            store.write(tmp_path / "f", b"", mode=0o640)
            store.make_dir(tmp_path / "d", mode=0o711)
        finally:
            os.umask(before)
        assert (tmp_path / "f").stat().st_mode & 0o7777 == 0o640
        assert (tmp_path / "d").stat().st_mode & 0o7777 == 0o711
        store.remove(tmp_path / "d")


def test_an_immutable_file_is_explained(store: LocalFileStore, tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(b"theirs")
    _set_flags(path, _IMMUTABLE)
    try:
        with pytest.raises(
            StorageError, match=r"f: cannot be written: Operation not permitted; .*chattr \+i"
        ):
            store.write(path, b"ours", mode=0o644)
        with pytest.raises(
            StorageError, match=r"f: cannot be removed: Operation not permitted; .*chattr \+i"
        ):
            store.remove(path)
    finally:
        _set_flags(path, 0)
    assert store.list_dir(tmp_path) == ("f",)


def test_too_many_open_files_are_said_and_pass(store: LocalFileStore, tmp_path: Path) -> None:
    store.write(tmp_path / "f", b"old", mode=0o600)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        with pytest.raises(StorageError, match="too many files are open"):
            store.write(tmp_path / "f", b"new", mode=0o600)
        with pytest.raises(StorageError, match=r"cannot be looked up.*too many files may be open"):
            store.write(tmp_path / "f", b"new", mode=0o600, owner="daemon")
        with pytest.raises(StorageError, match="too many files are open"):
            store.read(tmp_path / "f", max_bytes=_LIMIT)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    state = store.read(tmp_path / "f", max_bytes=_LIMIT)
    assert state is not None
    assert state.content == b"old"
    assert store.list_dir(tmp_path) == ("f",)


def test_owners_without_a_name_are_numbers(store: LocalFileStore, tmp_path: Path) -> None:
    (tmp_path / "f").write_bytes(b"")
    os.chown(tmp_path / "f", 54321, 54322)
    state = store.read(tmp_path / "f", max_bytes=_LIMIT)
    assert state is not None
    assert (state.owner, state.group) == ("54321", "54322")


def _set_flags(path: Path, flags: int) -> None:
    """As chattr(1) does."""
    with path.open("rb") as file:
        fcntl.ioctl(file, _FS_IOC_SETFLAGS, struct.pack("l", flags))


def _system_calls(action: Callable[[], None]) -> list[str]:
    """Names of the built-in functions that `action` calls, in order."""
    calls: list[str] = []

    def note(_frame: FrameType, event: str, function: object) -> None:
        if event == "c_call":
            calls.append(getattr(function, "__name__", ""))

    sys.setprofile(note)
    try:
        action()
    finally:
        sys.setprofile(None)
    return calls
