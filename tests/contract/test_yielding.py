"""What gives way to a user's start: on the kernel's own control groups, and what is left of a helper that was killed."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent.helper import cgroups
from hubagent.helper.cgroups import Cgroups
from hubagent.helper.refusal import RefusalError
from hubagent.helper.restorable import Restorable
from hubagent.helper.yielding import Yielding
from tests.contract.small_groups import CONTAINER, FREEZER, UNIFIED, SmallGroups, small_groups


@pytest.fixture(params=[FREEZER, UNIFIED], ids=["version 1", "version 2"])
def groups(request: pytest.FixtureRequest) -> Iterator[SmallGroups]:
    with small_groups(freezer=request.param) as groups:
        yield groups


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    return tmp_path / "loans"


@pytest.fixture
def yielding(groups: SmallGroups, notes: Path) -> Yielding:
    return _next_helper(groups, notes)


def _next_helper(groups: SmallGroups, notes: Path) -> Yielding:
    loans = Restorable(notes)
    loans.give_back_all()
    return Yielding(Cgroups(groups.cpu, groups.freezer), loans)


def test_dockers_services_are_idle_for_a_while(groups: SmallGroups, yielding: Yielding, notes: Path) -> None:
    (groups.services[1] / "cpu.shares").write_text("2048")
    with yielding.docker():
        assert groups.idle() == ["1", "1"]
        with yielding.docker():
            assert groups.idle() == ["1", "1"]
        assert groups.idle() == ["1", "1"]  # somebody is within
    assert groups.idle() == ["0", "0"]
    assert groups.weights() == ["1024", "2048"]
    assert not list(notes.iterdir())


def test_what_an_admin_has_made_idle_stays_so(groups: SmallGroups, yielding: Yielding) -> None:
    (groups.services[0] / "cpu.idle").write_text("1")
    with yielding.docker():
        assert groups.idle() == ["1", "1"]
    assert groups.idle() == ["1", "0"]


def test_docker_need_not_run(groups: SmallGroups, yielding: Yielding) -> None:
    for group in groups.services:
        group.rmdir()
    with yielding.docker():
        pass
    for group in groups.services:
        group.mkdir()


def test_docker_may_end_meanwhile(groups: SmallGroups, yielding: Yielding, notes: Path) -> None:
    with yielding.docker():
        groups.services[0].rmdir()
    groups.services[0].mkdir()
    assert groups.idle() == ["0", "0"]
    assert not list(notes.iterdir())


def test_a_container_stands_still_for_a_while(groups: SmallGroups, yielding: Yielding, notes: Path) -> None:
    groups.run()
    assert not groups.stands_still()
    with yielding.container(CONTAINER):
        groups.await_still(still=True)
        with yielding.container(CONTAINER):
            pass
        assert groups.stands_still()
    groups.await_still(still=False)
    assert not list(notes.iterdir())


def test_what_an_admin_has_stopped_stays_so(groups: SmallGroups, yielding: Yielding) -> None:
    groups.run()
    file, still = ("freezer.state", "FROZEN") if FREEZER in groups.freezer.parents else ("cgroup.freeze", "1")
    (groups.container / file).write_text(still)
    groups.await_still(still=True)
    with yielding.container(CONTAINER):
        pass
    assert groups.stands_still()


def test_a_container_of_dockers_own_groups_is_found(groups: SmallGroups, yielding: Yielding) -> None:
    other = "f" * 64
    group = groups.freezer / "docker" / other
    group.mkdir(parents=True)
    with yielding.container(other):
        names = {name for name, _, _ in cgroups.FREEZERS}
        found = [(group / name).read_text().strip() for name in names if (group / name).exists()]
        assert found in (["1"], ["FROZEN"])


@pytest.mark.parametrize(
    "container", ["", "0" * 63, "0" * 65, "A" * 64, f"../docker-{CONTAINER}", "0" * 63 + "\n"]
)
def test_a_container_is_known_by_its_id(yielding: Yielding, container: str) -> None:
    with pytest.raises(RefusalError, match="64 hex digits") as refused, yielding.container(container):
        pass
    assert refused.value.reason == "message"


def test_a_container_without_a_group_is_refused(yielding: Yielding) -> None:
    with pytest.raises(RefusalError, match="no control group") as refused, yielding.container("0" * 64):
        pass
    assert refused.value.reason == "absent"


def test_a_helper_gives_back_what_a_killed_one_left(groups: SmallGroups, notes: Path) -> None:
    groups.run()
    (groups.services[1] / "cpu.shares").write_text("512")
    child = os.fork()
    if child == 0:
        killed = _next_helper(groups, notes)
        with killed.docker(), killed.container(CONTAINER):
            os._exit(0)  # nothing of the program runs after it
    os.waitpid(child, 0)
    groups.await_still(still=True)
    assert groups.idle() == ["1", "1"]
    _next_helper(groups, notes)
    groups.await_still(still=False)
    assert groups.idle() == ["0", "0"]
    assert groups.weights() == ["1024", "512"]
    assert not list(notes.iterdir())


def test_a_note_that_was_not_finished_is_of_nothing_that_was_changed(
    groups: SmallGroups, notes: Path
) -> None:
    notes.mkdir()
    (notes / "docker").write_text('[["/sys/fs/cg')
    with _next_helper(groups, notes).docker():
        assert groups.idle() == ["1", "1"]
    assert groups.idle() == ["0", "0"]


def test_where_notes_cannot_be_kept_nothing_is_changed(
    groups: SmallGroups, yielding: Yielding, notes: Path
) -> None:
    notes.rmdir()
    with pytest.raises(RefusalError, match="nothing could be changed"), yielding.docker():
        pass
    assert groups.idle() == ["0", "0"]


def test_many_at_once_leave_nothing(groups: SmallGroups, yielding: Yielding) -> None:
    groups.run()

    def hold() -> None:
        for _ in range(20):
            with yielding.docker(), yielding.container(CONTAINER):
                assert groups.idle() == ["1", "1"]

    threads = [threading.Thread(target=hold) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert groups.idle() == ["0", "0"]
    groups.await_still(still=False)


_BOTH = """\
24 29 0:21 / /sys/fs/cgroup ro,nosuid - tmpfs tmpfs ro,mode=755
25 24 0:22 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw,nsdelegate
26 24 0:23 / /sys/fs/cgroup/cpu,cpuacct rw,nosuid - cgroup cgroup rw,cpu,cpuacct
27 24 0:24 / /sys/fs/cgroup/pids rw,nosuid - cgroup cgroup rw,pids
"""

_ORDINARY = (
    "25 24 0:22 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate,memory_recursiveprot\n"
)


@pytest.mark.parametrize(
    ("table", "found"),
    [
        (_ORDINARY, Cgroups(Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup"))),
        (_BOTH, Cgroups(Path("/sys/fs/cgroup/cpu,cpuacct"), Path("/sys/fs/cgroup/unified"))),
        ("27 24 0:24 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n", Cgroups(None, None)),
    ],
)
def test_controllers_are_where_the_machine_has_them(table: str, found: Cgroups, tmp_path: Path) -> None:
    (tmp_path / "mountinfo").write_text(table)
    assert cgroups.find(tmp_path / "mountinfo") == found


def test_version_2_has_other_names(tmp_path: Path, notes: Path) -> None:
    """Of the processor's controller, which this kernel has in version 1."""
    group = tmp_path / "system.slice/docker.service"
    group.mkdir(parents=True)
    (group / "cpu.idle").write_text("0\n")
    (group / "cpu.weight").write_text("250\n")
    loans = Restorable(notes)
    loans.give_back_all()
    with Yielding(Cgroups(tmp_path, None), loans).docker():
        assert (group / "cpu.idle").read_text() == "1"
        (group / "cpu.weight").write_text("0")  # as the kernel says then
    assert (group / "cpu.idle").read_text() == "0"
    assert (group / "cpu.weight").read_text() == "250"
