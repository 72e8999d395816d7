"""Folders of users, who may do in them what they like: `LocalTrees` on a real file system."""

from __future__ import annotations

import hashlib
import io
import os
import stat
import tarfile
import tempfile
import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from hubagent.adapters.files.trees import LocalTrees
from hubagent.backup import archive
from hubagent.backup.entries import Entry, Kind
from hubagent.errors import BackupError, StorageError

TREES = LocalTrees()
TIME_NS = 1_700_000_000_123_456_789


def _copy(source: Path, target: Path) -> list[Entry]:
    entries = []
    with TREES.write(target) as writer:
        for entry, content in TREES.walk(source):
            writer.add(entry, content)
            entries.append(entry)
    return entries


def _facts(root: Path) -> dict[str, tuple[object, ...]]:
    """All that should be the same in a copy, by path."""
    found = {}
    for path in sorted([root, *root.rglob("*")]):
        facts = path.lstat()
        what: object = None
        if path.is_symlink():
            what = os.readlink(path)
        elif path.is_file():
            what = path.read_bytes()
        # A folder of a few names and one of many may differ in size; nothing else may.
        found[str(path.relative_to(root))] = (
            facts.st_mode, facts.st_uid, facts.st_gid, facts.st_mtime_ns, facts.st_nlink, what,
        )  # fmt: skip
    return found


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With everything that homes have."""
    home = tmp_path / "home"
    (home / "deep/er/still").mkdir(parents=True)
    (home / "a file").write_bytes(b"text\n")
    (home / "empty").touch()
    (home / "deep/large").write_bytes(os.urandom(3 * 2**20 + 17))
    (home / "deep/er/second name").hardlink_to(home / "a file")
    (home / os.fsdecode(b"latin \xe9\n")).write_bytes(b"x")
    (home / "link").symlink_to("deep/large")
    (home / "to nowhere").symlink_to("/no/such/place")
    (home / "to a folder").symlink_to("/etc")
    (home / "program").write_bytes(b"#!/bin/sh\n")
    os.chown(home / "program", 1000, 100)
    (home / "program").chmod(0o4755)
    (home / "deep").chmod(0o2750)
    (home / "locked").mkdir()
    (home / "locked/inside").write_bytes(b"x")
    (home / "locked/inside").chmod(0)
    (home / "locked").chmod(0)
    os.chown(home / "link", 1000, 100, follow_symlinks=False)
    for path in sorted(home.rglob("*"), reverse=True):
        os.utime(path, ns=(TIME_NS, TIME_NS), follow_symlinks=False)
    os.chown(home, 1000, 100)
    home.chmod(0o711)
    os.utime(home, ns=(TIME_NS, TIME_NS))
    return home


def test_a_copy_is_the_same_in_all_that_is_kept(home: Path, tmp_path: Path) -> None:
    entries = _copy(home, tmp_path / "copy")
    assert _facts(tmp_path / "copy") == _facts(home)
    assert [entry.path for entry in entries if entry.kind is Kind.HARD_LINK] == [
        ("deep", "er", "second name")
    ]


def test_devices_sockets_and_pipes_are_passed_over_and_nothing_waits_for_them(
    home: Path, tmp_path: Path
) -> None:
    os.mkfifo(home / "pipe")
    os.mknod(home / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.mknod(home / "socket", stat.S_IFSOCK | 0o666)
    _copy(home, tmp_path / "copy")
    assert not {"pipe", "null", "socket"} & set(os.listdir(tmp_path / "copy"))


def test_what_is_deeper_than_any_path_may_be_long_is_copied(tmp_path: Path) -> None:
    depth, name = 60, "n" * 200  # 12 000 bytes; a path may have 4096
    folder = os.open(tmp_path, os.O_RDONLY)
    for level in ("home", *[name] * depth):
        os.mkdir(level, dir_fd=folder)
        below = os.open(level, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = below
    os.close(folder)
    assert len(_copy(tmp_path / "home", tmp_path / "copy")) == depth + 1
    assert sum(1 for _ in TREES.walk(tmp_path / "copy")) == depth + 1
    TREES.remove(tmp_path / "home")
    assert os.listdir(tmp_path) == ["copy"]


def test_holes_are_holes_again(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    with (tmp_path / "home/sparse").open("wb") as file:
        file.seek(64 * 2**20)
        file.write(b"end")
        file.truncate(80 * 2**20)
    _copy(tmp_path / "home", tmp_path / "copy")
    copy = tmp_path / "copy/sparse"
    assert copy.stat().st_size == 80 * 2**20
    assert copy.stat().st_blocks * 512 < 4 * 2**20
    with copy.open("rb") as file:
        file.seek(64 * 2**20)
        assert file.read(4) == b"end\0"


def test_an_absent_folder_is_empty(tmp_path: Path) -> None:
    assert list(TREES.walk(tmp_path / "absent")) == []
    assert TREES.names(tmp_path / "absent") == ()
    TREES.remove(tmp_path / "absent")


def test_names_at_the_top_can_be_left_out(home: Path) -> None:
    (home / "deep/empty").touch()
    paths = {entry.path for entry, _ in TREES.walk(home, skip=lambda name: name == "empty")}
    assert ("empty",) not in paths
    assert ("deep", "empty") in paths


def test_a_folder_that_turns_into_a_link_leads_nowhere(tmp_path: Path) -> None:
    """A user exchanges a folder and a link to a secret as fast as can be."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret/key").write_bytes(b"of root")
    home = tmp_path / "home"
    home.mkdir()
    (home / "own").mkdir()
    (home / "own/key").write_bytes(b"of the user")
    (home / "link").symlink_to(tmp_path / "secret")
    done = threading.Event()

    def exchange() -> None:
        while not done.is_set():
            os.rename(home / "own", home / "aside")
            os.rename(home / "link", home / "own")
            os.rename(home / "own", home / "link")
            os.rename(home / "aside", home / "own")

    user = threading.Thread(target=exchange)
    user.start()
    try:
        contents = {
            content.read() for _ in range(300) for _, content in TREES.walk(home) if content is not None
        }
    finally:
        done.set()
        user.join()
    assert contents == {b"of the user"}


def test_what_changes_and_vanishes_meanwhile_is_no_error(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    for number in range(200):
        (home / f"{number:03d}").write_bytes(b"x" * number)
    seen = 0
    for entry, content in TREES.walk(home):
        if content is not None:
            assert content.read() == b"x" * entry.size
            seen += 1
        for path in list(home.iterdir())[-3:]:
            path.unlink()
    assert 0 < seen < 200


def test_it_never_unpacks_into_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "there").mkdir()
    with pytest.raises(StorageError, match="File exists"), TREES.write(tmp_path / "there"):
        pass
    (tmp_path / "link").symlink_to(tmp_path / "there")
    with pytest.raises(StorageError, match="File exists"), TREES.write(tmp_path / "link"):
        pass


def test_everything_belongs_to_the_owner_that_was_asked_for(home: Path, tmp_path: Path) -> None:
    with TREES.write(tmp_path / "copy", owner="daemon") as writer:
        for entry, content in TREES.walk(home):
            if entry.path:
                writer.add(entry, content)
    owners = {(path.lstat().st_uid, path.lstat().st_gid) for path in (tmp_path / "copy").rglob("*")}
    assert owners == {(1, 1)}
    with (
        pytest.raises(StorageError, match="no user and group nobody-here"),
        TREES.write(tmp_path / "other", owner="nobody-here"),
    ):
        pass


def test_new_folders_above_a_file_can_be_entered_and_old_ones_stay(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    TREES.make_parents(tmp_path / "one/two/file")
    assert stat.S_IMODE((tmp_path / "one/two").stat().st_mode) == 0o755
    assert stat.S_IMODE(tmp_path.stat().st_mode) == 0o700


# -- archives from an enemy


_WORDS = some.sampled_from(["a", "b", "c", "..", ".", "", "outside", "hub", "~"])
_NAMES = some.lists(_WORDS, min_size=1, max_size=4).map(lambda words: "/".join(["volumes/home", *words]))
_ANY_NAME = _NAMES | some.lists(_WORDS, min_size=1, max_size=4).map("/".join)


@some.composite
def _members(draw: some.DrawFn) -> tarfile.TarInfo:
    member = tarfile.TarInfo(draw(_NAMES if draw(some.integers(0, 9)) else _ANY_NAME))
    member.type = draw(
        some.sampled_from([
            tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE,
            tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE, tarfile.CONTTYPE,
        ])
    )  # fmt: skip
    up = some.sampled_from(
        ["..", "../..", "../outside", "../../outside", "/proc/self/cwd", "OUTSIDE", "a", "b"]
    )
    member.linkname = draw(up if member.type == tarfile.SYMTYPE else _ANY_NAME)
    member.mode = draw(some.sampled_from([0o777, 0o4755, 0o1777, 0]))
    member.uid = draw(some.sampled_from([0, 1000]))
    member.size = 4 if member.isreg() else 0
    return member


@pytest.fixture(scope="module")
def arena() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        yield Path(folder)


@settings(max_examples=120, deadline=None)
@given(members=some.lists(_members(), min_size=1, max_size=8))
def test_hostile_archives_change_nothing_outside(arena: Path, members: list[tarfile.TarInfo]) -> None:
    outside, inside = arena / "outside", arena / "inside"
    outside.mkdir()
    (outside / "a").write_bytes(b"kept")
    inside.mkdir()
    before = _state(arena)
    sink = io.BytesIO()
    with tarfile.open(fileobj=sink, mode="w:gz") as tar:
        for member in members:
            member.linkname = member.linkname.replace("OUTSIDE", str(outside))
            tar.addfile(member, io.BytesIO(b"evil"))
    try:
        with TREES.write(inside / "home") as writer, suppress(BackupError):
            for _, entry, content in archive.read(io.BytesIO(sink.getvalue())):
                with suppress(StorageError):  # go on, as no restore would
                    writer.add(entry, content)
        assert not [path for path in (inside / "home").rglob("*") if not _is_harmless(path)]
        TREES.remove(inside / "home")
        assert _state(arena) == before
    finally:
        TREES.remove(inside)
        TREES.remove(outside)


def _is_harmless(path: Path) -> bool:
    return path.is_symlink() or path.is_dir() or path.is_file()


def _state(folder: Path) -> dict[str, tuple[object, ...]]:
    found = {}
    for path in sorted(folder.rglob("*")):
        facts = path.lstat()
        content = hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else ""
        times = () if path.name == "inside" else (facts.st_mtime_ns,)
        found[str(path)] = (facts.st_mode, facts.st_uid, facts.st_nlink, content, *times)
    return found
