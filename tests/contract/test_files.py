"""FileStore: the fake and the real file system give the same answers."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Protocol

import pytest

from hubagent.adapters.files.store import LocalFileStore
from hubagent.errors import StorageError
from hubagent.ports import FileState, FileStore
from tests.fakes import MemoryFileStore


class Place(Protocol):
    """An empty folder, and an administrator's hands in it."""

    store: FileStore
    base: Path

    def put(self, path: Path, content: bytes) -> None: ...

    def put_link(self, path: Path, target: str) -> None: ...

    def put_fifo(self, path: Path) -> None: ...

    def put_folder(self, path: Path) -> None: ...

    def mode(self, path: Path) -> int: ...


class Memory:
    def __init__(self) -> None:
        memory = MemoryFileStore(users=["root", "daemon"], groups=["root", "daemon"])
        self.store: FileStore = memory
        self.base = Path("/base")
        self.put_folder = memory.put_folder
        self.put = memory.put
        self.put_link = memory.put_link
        self.put_fifo = lambda path: memory.put_special(path, "FIFO")
        self.mode = memory.mode
        memory.put_folder(self.base)


class Disk:
    def __init__(self, base: Path) -> None:
        self.store: FileStore = LocalFileStore()
        self.base = base

    def put(self, path: Path, content: bytes) -> None:
        path.write_bytes(content)
        path.chmod(0o644)

    def put_link(self, path: Path, target: str) -> None:
        path.symlink_to(target)

    def put_fifo(self, path: Path) -> None:
        os.mkfifo(path)

    def put_folder(self, path: Path) -> None:
        path.mkdir()

    def mode(self, path: Path) -> int:
        return path.stat().st_mode & 0o7777


@pytest.fixture(params=["fake", "real"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Place:
    return Memory() if request.param == "fake" else Disk(tmp_path)


def test_what_was_written_is_read(place: Place) -> None:
    path = place.base / "f"
    place.store.write(path, b"one\n", mode=0o640, owner="daemon", group="daemon")
    assert place.store.read(path, max_bytes=4) == FileState(b"one\n", 0o640, "daemon", "daemon")


def test_writing_again_replaces_content_mode_and_owner(place: Place) -> None:
    path = place.base / "f"
    place.store.write(path, b"a long first content", mode=0o644, owner="daemon", group="daemon")
    place.store.write(path, b"", mode=0o600)
    assert place.store.read(path, max_bytes=100) == FileState(b"", 0o600, "root", "root")
    assert place.store.list_dir(place.base) == ("f",)


def test_writing_replaces_a_link_and_not_its_target(place: Place) -> None:
    place.put(place.base / "target", b"theirs")
    place.put_link(place.base / "f", "target")
    place.store.write(place.base / "f", b"ours", mode=0o644)
    assert _content(place, "target") == b"theirs"
    assert _content(place, "f") == b"ours"


@pytest.mark.parametrize("name", ["absent", "absent/deeper"])
def test_an_absent_file_is_none(place: Place, name: str) -> None:
    assert place.store.read(place.base / name, max_bytes=10) is None
    assert place.store.read_link(place.base / name) is None
    assert place.store.list_dir(place.base / name) == ()
    place.store.remove(place.base / name)


def test_a_dangling_link_is_an_absent_file(place: Place) -> None:
    place.put_link(place.base / "f", "nowhere")
    assert place.store.read(place.base / "f", max_bytes=10) is None
    assert place.store.read_link(place.base / "f") == "nowhere"


def test_reading_follows_links_of_files_and_folders(place: Place) -> None:
    place.put_folder(place.base / "1")
    place.put(place.base / "1" / "f", b"x")
    place.put_link(place.base / "1" / "g", "../1/f")
    place.put_link(place.base / "current", "1")
    assert _content(place, "current/f") == b"x"
    assert _content(place, "current/g") == b"x"


def test_links_in_a_circle_are_refused(place: Place) -> None:
    place.put_link(place.base / "a", "b")
    place.put_link(place.base / "b", "a")
    with pytest.raises(StorageError, match=str(place.base / "a")):
        place.store.read(place.base / "a", max_bytes=10)


@pytest.mark.parametrize("kind", ["FIFO", "folder"])
def test_what_is_no_file_is_refused_by_name(place: Place, kind: str) -> None:
    path = place.base / "thing"
    if kind == "FIFO":
        place.put_fifo(path)
    else:
        place.put_folder(path)
    with pytest.raises(StorageError, match=f"{path}: is a {kind}, not a regular file"):
        place.store.read(path, max_bytes=10)


def test_a_large_file_is_refused_with_both_sizes(place: Place) -> None:
    place.put(place.base / "f", b"x" * 11)
    with pytest.raises(StorageError, match=r"has 11 bytes, more than the 10 allowed"):
        place.store.read(place.base / "f", max_bytes=10)


def test_writing_needs_the_folder(place: Place) -> None:
    path = place.base / "absent" / "f"
    with pytest.raises(StorageError, match=str(path)):
        place.store.write(path, b"", mode=0o644)


def test_a_folder_in_the_way_of_a_file_is_left_alone(place: Place) -> None:
    place.put_folder(place.base / "f")
    with pytest.raises(StorageError, match=str(place.base / "f")):
        place.store.write(place.base / "f", b"", mode=0o644)
    with pytest.raises(StorageError, match=str(place.base / "f")):
        place.store.link(place.base / "f", "x")
    assert place.store.list_dir(place.base) == ("f",)


@pytest.mark.parametrize(
    ("owner", "group", "missing"), [("nobody-here", "root", "user"), ("root", "no-group", "group")]
)
def test_a_missing_user_or_group_is_said_before_anything_is_written(
    place: Place, owner: str, group: str, missing: str
) -> None:
    with pytest.raises(StorageError, match=r"f: its (owner|group) should be .*does not exist") as caught:
        place.store.write(place.base / "f", b"", mode=0o644, owner=owner, group=group)
    assert missing in str(caught.value)
    with pytest.raises(StorageError, match="does not exist"):
        place.store.make_dir(place.base / "d", mode=0o755, owner=owner, group=group)
    assert place.store.list_dir(place.base) == ()


def test_a_folder_gets_its_mode_and_gets_it_back(place: Place) -> None:
    path = place.base / "d"
    place.store.make_dir(path, mode=0o711)
    assert place.mode(path) == 0o711
    place.store.write(path / "f", b"x", mode=0o600)
    place.store.make_dir(path, mode=0o750, owner="daemon")
    assert place.mode(path) == 0o750
    assert place.store.list_dir(path) == ("f",)


def test_a_folder_is_not_made_over_a_file_or_through_a_link(place: Place) -> None:
    place.put(place.base / "f", b"")
    place.put_folder(place.base / "elsewhere")
    place.put_link(place.base / "link", "elsewhere")
    for name in ("f", "link", "absent/d"):
        with pytest.raises(StorageError, match=str(place.base / name)):
            place.store.make_dir(place.base / name, mode=0o700)
    assert place.mode(place.base / "elsewhere") == 0o755


def test_a_link_points_where_told_and_can_be_turned(place: Place) -> None:
    link = place.base / "current"
    for target in ("generations/1", "generations/2"):
        place.store.link(link, target)
        assert place.store.read_link(link) == target
    assert place.store.list_dir(place.base) == ("current",)


def test_only_a_link_can_be_read_as_one(place: Place) -> None:
    place.put(place.base / "f", b"")
    with pytest.raises(StorageError, match="is not a symbolic link"):
        place.store.read_link(place.base / "f")


def test_removing_takes_trees_and_never_follows_links(place: Place) -> None:
    place.put_folder(place.base / "keep")
    place.put(place.base / "keep" / "f", b"x")
    place.put_folder(place.base / "tree")
    place.put(place.base / "tree" / "f", b"x")
    place.put_link(place.base / "tree" / "inner", "../keep")
    place.put_link(place.base / "outer", "keep")
    place.store.remove(place.base / "tree")
    place.store.remove(place.base / "outer")
    assert place.store.list_dir(place.base) == ("keep",)
    assert _content(place, "keep/f") == b"x"
    place.store.remove(place.base / "keep" / "f")
    assert place.store.list_dir(place.base / "keep") == ()


def test_names_are_listed_in_order(place: Place) -> None:
    for name in ("b", "a", "10", "9"):
        place.put(place.base / name, b"")
    assert place.store.list_dir(place.base) == ("10", "9", "a", "b")


def test_a_file_cannot_be_listed(place: Place) -> None:
    place.put(place.base / "f", b"")
    with pytest.raises(StorageError, match=str(place.base / "f")):
        place.store.list_dir(place.base / "f")


def test_free_space_is_told(place: Place) -> None:
    assert place.store.free_bytes(place.base) > 0
    with pytest.raises(StorageError, match="absent"):
        place.store.free_bytes(place.base / "absent")


def _content(place: Place, name: str) -> bytes:
    state = place.store.read(place.base / name, max_bytes=100)
    assert state is not None
    return state.content
