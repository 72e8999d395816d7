"""Every way in which people and programs change a file is noticed; reading it is not."""

from __future__ import annotations

import gc
import os
import shutil
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubagent.adapters.files.watch import ConfigWatch
from tests.waiting import wait_until

_NEVER_S = 3600.0
_EVENT_S = 2.0


class Changes:
    """Counts on_change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def __call__(self) -> None:
        with self._lock:
            self.count += 1

    def settle(self) -> int:
        """The count, once it has stood still for a while."""
        last = (self.count, time.monotonic())

        def is_still() -> bool:
            nonlocal last
            if self.count != last[0]:
                last = (self.count, time.monotonic())
            return time.monotonic() - last[1] > 0.3

        wait_until(is_still, timeout_s=10.0)
        return self.count


Watch = Callable[[Path, float], Changes]


@pytest.fixture
def watch() -> Iterator[Watch]:
    watches: list[ConfigWatch] = []

    def start(path: Path, poll_s: float) -> Changes:
        changes = Changes()
        watches.append(ConfigWatch(path, changes, poll_s))
        watches[-1].start()
        return changes

    yield start
    for each in watches:
        each.stop()


@pytest.fixture
def path(tmp_path: Path) -> Path:
    folder = tmp_path / "etc"
    folder.mkdir()
    (folder / "hubagent.yaml").write_text("a: 1\n")
    return folder / "hubagent.yaml"


def _in_place(path: Path) -> None:
    with path.open("w") as file:  # truncates, then writes
        file.write("a: 2\n")


def _appended(path: Path) -> None:
    with path.open("a") as file:
        file.write("b: 2\n")


def _by_rename(path: Path) -> None:
    path.with_suffix(".new").write_text("a: 2\n")
    path.with_suffix(".new").rename(path)


def _by_vim(path: Path) -> None:
    """Vim with its default backupcopy: the old file is renamed away, a new one written, the backup removed."""
    backup = path.with_name(path.name + "~")
    path.rename(backup)
    path.write_text("a: 2\n")
    backup.unlink()


def _by_sed(path: Path) -> None:
    subprocess.run(["sed", "-i", "s/1/2/", path], check=True)


def _deleted(path: Path) -> None:
    path.unlink()


def _made_unreadable(path: Path) -> None:
    path.chmod(0)


@pytest.mark.parametrize(
    "edit", [_in_place, _appended, _by_rename, _by_vim, _by_sed, _deleted], ids=lambda edit: edit.__name__[1:]
)
def test_edits_show_by_events(watch: Watch, path: Path, edit: Callable[[Path], None]) -> None:
    changes = watch(path, _NEVER_S)
    edit(path)
    wait_until(lambda: changes.count, timeout_s=_EVENT_S)


@pytest.mark.parametrize(
    "edit",
    [_in_place, _appended, _by_rename, _by_vim, _by_sed, _deleted, _made_unreadable],
    ids=lambda edit: edit.__name__[1:],
)
def test_edits_behind_a_link_show_by_looking(
    watch: Watch, path: Path, tmp_path: Path, edit: Callable[[Path], None]
) -> None:
    (tmp_path / "elsewhere").mkdir()
    target = tmp_path / "elsewhere" / "hubagent.yaml"
    path.rename(target)
    path.symlink_to(target)
    changes = watch(path, 0.05)
    edit(target)
    wait_until(lambda: changes.count, timeout_s=_EVENT_S)


def test_an_appearing_file_shows(watch: Watch, path: Path) -> None:
    path.unlink()
    changes = watch(path, _NEVER_S)
    path.write_text("a: 2\n")
    wait_until(lambda: changes.count, timeout_s=_EVENT_S)


def test_a_switched_link_shows(watch: Watch, path: Path) -> None:
    path.unlink()
    path.symlink_to("..data/hubagent.yaml")
    for turn in ("1", "2"):
        (path.parent / turn).mkdir()
        (path.parent / turn / "hubagent.yaml").write_text(f"a: {turn}\n")
    (path.parent / "..data").symlink_to("1")
    changes = watch(path, _NEVER_S)
    (path.parent / "..data_tmp").symlink_to("2")
    (path.parent / "..data_tmp").rename(path.parent / "..data")
    wait_until(lambda: changes.count, timeout_s=_EVENT_S)


@pytest.mark.parametrize("is_moved", [True, False], ids=["moved away", "removed"])
def test_a_folder_made_anew_is_watched_again(
    watch: Watch, path: Path, tmp_path: Path, *, is_moved: bool
) -> None:
    changes = watch(path, 0.05)
    if is_moved:
        path.parent.rename(tmp_path / "old")
    else:
        shutil.rmtree(path.parent)
    wait_until(lambda: changes.count, timeout_s=_EVENT_S)
    changes.settle()
    path.parent.mkdir()
    path.write_text("a: 2\n")
    seen = changes.count
    wait_until(lambda: changes.count > seen, timeout_s=_EVENT_S)


def test_events_come_back_after_the_folder_did(watch: Watch, path: Path) -> None:
    """With a slow poll after the healing one, only events can be this quick."""
    changes = watch(path, 1.0)
    shutil.rmtree(path.parent)
    path.parent.mkdir()
    path.write_text("a: 2\n")
    wait_until(lambda: changes.count, timeout_s=5.0)
    delays = []
    for turn in range(12):
        seen = changes.settle()
        begin = time.monotonic()
        path.write_text(f"a: {turn}\n")
        wait_until(lambda seen=seen: changes.count > seen, timeout_s=5.0)  # type: ignore[misc]
        delays.append(time.monotonic() - begin)
    assert sorted(delays[4:])[-2] < 0.3


def test_reading_and_other_files_change_nothing(watch: Watch, path: Path) -> None:
    changes = watch(path, 0.05)
    changes.settle()
    before = changes.count
    for _ in range(20):
        path.read_bytes()
        os.listdir(path.parent)
    path.with_name("other").write_text("x")
    path.with_name("hubagent.yaml.swp").write_text("x")
    path.with_name("other").unlink()
    assert changes.settle() == before


def test_ten_thousand_edits_end_with_the_last_one(watch: Watch, path: Path) -> None:
    last_seen: list[str] = []
    noticed = ConfigWatch(path, lambda: last_seen.append(path.read_text()), 0.1)
    noticed.start()
    try:
        for turn in range(10_000):
            path.write_text(f"a: {turn}\n")
        wait_until(lambda: last_seen and last_seen[-1] == "a: 9999\n", timeout_s=20.0)
    finally:
        noticed.stop()


def test_what_watchdog_remembers_of_renames_is_let_go(watch: Watch, path: Path) -> None:
    def remembered() -> int:
        gc.collect()
        return sum(type(one).__name__ == "InotifyEvent" for one in gc.get_objects())

    changes = watch(path, 0.05)
    for _ in range(1000):
        _by_rename(path)
    wait_until(lambda: remembered() < 300, lambda: f"{remembered()} events", timeout_s=20.0)
    seen = changes.settle()
    _by_rename(path)
    wait_until(lambda: changes.count > seen, timeout_s=_EVENT_S)


def test_a_missing_folder_is_no_fault(watch: Watch, tmp_path: Path) -> None:
    changes = watch(tmp_path / "absent" / "hubagent.yaml", 0.05)
    (tmp_path / "absent").mkdir()
    (tmp_path / "absent" / "hubagent.yaml").write_text("a: 1\n")
    wait_until(lambda: changes.count, timeout_s=_EVENT_S)
