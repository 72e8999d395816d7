"""Disks that are full, read-only or broken, at every single write of a change."""

from __future__ import annotations

import errno
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest

from hubagent.adapters.files.store import LocalFileStore
from hubagent.converge.generations import Generations, Switch
from hubagent.errors import StorageError
from hubagent.layout import Layout
from hubagent.render.generation import Desired, ManagedFile
from hubagent.state.status import Reason, Result
from tests.faults.test_crashes import EDIT
from tests.faults.whole import assert_at_rest, assert_runs_what_is_in_force, in_force
from tests.unit.converge.world import CONFIG, World
from tests.unit.converge.worlds import wished

FULL = ("write", "make_dir", "link")  # removing works on a full disk
READ_ONLY = (*FULL, "remove")


class Disk:
    """The world's files, until the disk breaks at the `at`-th change; `mend` makes it work again."""

    def __init__(self, files: Any, fails: tuple[str, ...], at: int) -> None:
        self._files = files
        self._fails = fails
        self._left = at
        self._is_mended = False
        self.failures = 0

    def mend(self) -> None:
        self._is_mended = True

    def __getattr__(self, name: str) -> Any:
        call = getattr(self._files, name)
        if name not in READ_ONLY:
            return call

        def change(path: Path, *arguments: Any, **named: Any) -> Any:
            self._left -= 1
            if self._left < 0 and name in self._fails and not self._is_mended:
                self.failures += 1
                raise StorageError(f"{path}: cannot be written: {os.strerror(errno.ENOSPC)}")
            return call(path, *arguments, **named)

        return change


@pytest.mark.parametrize("fails", [FULL, READ_ONLY, ("link",)], ids=["full", "read-only", "no new links"])
def test_a_disk_that_breaks_at_any_write_of_an_edit(fails: tuple[str, ...]) -> None:
    """The same agent lives through it: one whole generation runs all the time, and the edit comes in the end."""
    at = 0
    while True:
        world = World()
        assert world.reconcile().result is Result.OK
        disk = Disk(world.files, fails, at)
        world.through = lambda port, disk=disk, files=world.files: disk if port is files else port
        world.reboot_agent()
        world.edit(EDIT)
        looks = [world.reconcile() for _ in range(4)]
        if not disk.failures:
            break
        troubled = [outcome for outcome in looks if outcome.result is Result.FAILED]
        assert troubled, "it is said"
        assert any(problem.reason is Reason.DISK for outcome in troubled for problem in outcome.problems)
        assert in_force(world) is not None
        disk.mend()
        for _ in range(2):
            world.reconcile()
        assert world.current("hubagent.yaml") == EDIT.encode(), at
        assert_runs_what_is_in_force(world)
        assert_at_rest(world)
        assert world.generations.interrupted() is None
        edited = in_force(world)
        world.edit(CONFIG)
        assert world.reconcile().result is Result.OK
        assert {1, edited} <= set(world.generations.served()), "each can be gone back to"
        at += 1
    assert at > 1, "every write counts"


def test_too_little_room_is_said_before_anything_is_written() -> None:
    world = World()
    world.reconcile()
    world.files.free = 10 * 1024**2
    world.edit(EDIT)
    before = [entry for entry in world.files.journal if "/generations/" in entry[1]]
    outcome = world.reconcile()
    assert (outcome.result, outcome.retry) == (Result.REJECTED, True)
    assert "10 MiB free" in str(outcome.failure)
    assert [entry for entry in world.files.journal if "/generations/" in entry[1]] == before
    world.files.free = 10**10
    assert world.reconcile().result is Result.OK


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Layout]:
    """A state folder on a real file system of 128 KiB."""
    layout = Layout(tmp_path)
    layout.state.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(layout.state)]
    subprocess.run(command, check=True, timeout=30)
    yield layout
    subprocess.run(["umount", str(layout.state)], check=True, timeout=30)


def _generation(size: int) -> Desired:
    content, other = os.urandom(size), wished()
    return Desired(
        source=CONFIG.encode(),
        files=tuple(ManagedFile(PurePosixPath(f"nginx/{name}.conf"), content) for name in "abcd"),
        markers=other.markers,
        gateway=other.gateway,
        certificate=other.certificate,
        self_signed=True,
    )


def test_a_generation_that_does_not_fit_on_the_real_disk_leaves_the_old_one(small: Layout) -> None:
    files = LocalFileStore()
    store = Generations(files, small)
    store.prepare()
    first = _generation(4096)
    store.stage(first, 1)
    store.begin(Switch(None, 1, first.source_sha256))
    store.commit()
    with pytest.raises(StorageError, match="full"):
        store.stage(_generation(32 * 1024), 2)
    store.discard(2)
    assert (store.current(), store.numbers()) == (1, (1,))
    assert Generations(files, small).load(1) == first
    assert list(small.state.rglob(".hubagent-*")) == []
    store.stage(_generation(4096), 2)
    store.begin(Switch(1, 2, first.source_sha256))
    store.commit()
    assert store.served() == (1, 2)
