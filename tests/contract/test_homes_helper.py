"""The homes helper at work: what a running container sees, what users may have planted, what a crash leaves."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.errors import HomeError
from tests.contract.small_groups import CONTAINER
from tests.contract.small_homes import CAPABILITIES, GROUP, OWNER, SmallHomes
from tests.contract.test_homes import new_slot
from tests.waiting import wait_until

_CONTAINER_FLAGS = os.ST_NOSUID | os.ST_NODEV


@pytest.fixture
def real() -> Iterator[SmallHomes]:
    real = SmallHomes()
    try:
        real.start()
        yield real
    finally:
        real.close()


def _folder(real: SmallHomes, name: str, target: str, *, read_only: bool = True) -> wire.Folder:
    """A course folder that is declared."""
    folder = wire.Folder(real.course(name), target, read_only)
    real.declare(folder)
    return folder


def _attached(real: SmallHomes, source: str, *folders: wire.Folder) -> str:
    slot = new_slot()
    real.client.prepare(slot)
    real.client.attach(slot, source, folders)
    return slot


# What a container sees


def test_a_home_arrives_in_a_running_container(real: SmallHomes) -> None:
    slot, home = new_slot(), real.home("ada")
    course, exchange = _folder(real, "course", "course"), _folder(real, "all", "exchange", read_only=False)
    real.client.prepare(slot)
    with real.container(slot) as container:
        assert not list(container.home.iterdir())
        with pytest.raises(OSError, match="Read-only"):
            (container.home / "too early").touch()
        attached = real.client.attach(slot, home, (course, exchange))
        assert container.identity() == attached
        assert container.identity() == wire.Attached(os.stat(home).st_dev, os.stat(home).st_ino)
        assert (container.home / "note").read_text() == "ada"
        (container.home / "answer").write_text("42")
        assert Path(home, "answer").read_text() == "42"
        assert (container.home / "course/exercise").read_text() == "course"
        with pytest.raises(OSError, match="Read-only"):
            (container.home / "course/exercise").write_text("cheated")
        (container.home / "exchange/hello").write_text("to all")
        assert Path(exchange.source, "hello").read_text() == "to all"
        for target in (".", "exchange"):
            assert container.flags(target) & _CONTAINER_FLAGS == _CONTAINER_FLAGS
            assert not container.flags(target) & os.ST_RDONLY
        assert (
            container.flags("course") & (_CONTAINER_FLAGS | os.ST_RDONLY) == _CONTAINER_FLAGS | os.ST_RDONLY
        )


def test_nothing_shows_up_in_the_home_or_the_course_itself(real: SmallHomes) -> None:
    home, course = real.home("ada"), _folder(real, "course", "course")
    _attached(real, home, course)
    _attached(real, home, course)
    assert real.mounts(real.volumes) == ()
    assert real.mounts(Path(course.source)) == ()
    assert not list(Path(home, "course").iterdir())


def test_a_detached_slot_leaves_nothing_but_the_files(real: SmallHomes) -> None:
    home, course = real.home("ada"), _folder(real, "course", "a/course")
    slot = _attached(real, home, course)
    assert len(real.mounts()) == 2
    real.client.detach(slot)
    assert real.mounts() == ()
    assert not list(real.seen(real.layout.homes).iterdir())
    assert Path(home, "note").read_text() == "ada"
    assert Path(course.source, "exercise").read_text() == "course"


def test_users_do_not_see_each_other(real: SmallHomes) -> None:
    course = _folder(real, "course", "course")
    slots = {user: new_slot() for user in ("ada", "bob")}
    for slot in slots.values():
        real.client.prepare(slot)
    with real.container(slots["ada"]) as ada, real.container(slots["bob"]) as bob:
        for user, slot in slots.items():
            real.client.attach(slot, real.home(user), (course,))
        for user, container in (("ada", ada), ("bob", bob)):
            assert (container.home / "note").read_text() == user
            (container.home / "mine").write_text(user)
        assert (ada.home / "mine").read_text() == "ada"
        real.client.detach(slots["ada"])
        assert not list(ada.home.iterdir())
        assert (bob.home / "course/exercise").read_text() == "course"


def test_a_home_in_use_stays_until_its_user_is_gone(real: SmallHomes) -> None:
    slot = new_slot()
    real.client.prepare(slot)
    with real.container(slot) as container:
        real.client.attach(slot, real.home("ada"), ())
        with (container.home / "note").open(), pytest.raises(HomeError, match=f"{slot} is in use.*fuser"):
            real.client.detach(slot)
        assert (container.home / "note").read_text() == "ada"
    real.client.detach(slot)
    assert real.mounts() == ()


def test_detaching_waits_for_the_last_process_of_a_container(real: SmallHomes) -> None:
    slot = new_slot()
    real.client.prepare(slot)
    with real.container(slot) as container:
        real.client.attach(slot, real.home("ada"), ())
        with ThreadPoolExecutor(1) as pool:
            with (container.home / "note").open():
                detaching = pool.submit(real.client.detach, slot)
                wait_until(lambda: _is_at_work_on(real, slot), timeout_s=10)
            detaching.result()
    assert real.client.slots() == ()


def _is_at_work_on(real: SmallHomes, slot: str) -> bool:
    with pytest.raises(HomeError) as refusal:
        real.client.prepare(slot)
    return "is still being" in str(refusal.value)


def test_folders_may_lie_in_each_other(real: SmallHomes) -> None:
    inner = _folder(real, "inner", "course/data")
    outer = _folder(real, "outer", "course", read_only=False)
    home = real.home("ada")
    with pytest.raises(HomeError, match=r"course/data: .* in course: there is no such folder"):
        _attached(real, home, inner, outer)  # nothing is made in course files
    Path(outer.source, "data").mkdir()
    slot = _attached(real, home, inner, outer)
    assert real.seen(real.layout.homes / slot / "course/data/exercise").read_text() == "inner"
    real.client.detach(slot)
    assert real.mounts() == ()


def test_a_missing_place_is_made_for_the_owner(real: SmallHomes) -> None:
    home = real.home("ada", mode=0o700)
    _attached(real, home, _folder(real, "course", "deep/down/course"))
    for name in ("deep", "deep/down", "deep/down/course"):
        facts = Path(home, name).stat()
        assert (facts.st_uid, facts.st_gid, facts.st_mode & 0o7777) == (OWNER, GROUP, 0o755)


def test_what_is_mounted_in_a_course_comes_along_read_only(real: SmallHomes) -> None:
    course = _folder(real, "course", "course")
    disk = Path(course.source, "disk")
    disk.mkdir()
    real.run("mount", "-t", "tmpfs", "tmpfs", str(disk))
    slot = _attached(real, real.home("ada"), course)
    seen = real.seen(real.layout.homes / slot / "course/disk")
    assert os.statvfs(seen).f_flag & os.ST_RDONLY
    real.client.detach(slot)
    assert real.mounts(Path(course.source)) == (str(disk),)


@pytest.mark.parametrize("missing", CAPABILITIES[1:])  # without the first it does not start
def test_it_needs_the_capabilities_that_it_has(real: SmallHomes, missing: str) -> None:
    real.stop(signal.SIGTERM)
    real.start(capabilities=[one for one in CAPABILITIES if one != missing])
    with pytest.raises(HomeError, match=r"Permission denied|not permitted"):
        _attached(real, real.home("ada", mode=0o700), _folder(real, "course", "course"))


# What users may have planted


def _link(place: Path, outside: Path) -> None:
    place.symlink_to(outside)


def _link_to_nothing(place: Path, outside: Path) -> None:
    place.symlink_to(outside / "absent")


def _file(place: Path, outside: Path) -> None:
    place.write_text("")


def _pipe(place: Path, outside: Path) -> None:
    os.mkfifo(place)


@pytest.mark.parametrize(
    ("plant", "says"),
    [
        (_link, "symbolic link"),
        (_link_to_nothing, "symbolic link"),
        (_file, "not a folder"),
        (_pipe, "not a folder"),
    ],
)
def test_what_stands_in_the_way_is_refused(
    real: SmallHomes, plant: Callable[[Path, Path], None], says: str
) -> None:
    outside = real.root / "outside"
    outside.mkdir()
    home, slot = real.home("ada"), new_slot()
    Path(home, "a").mkdir()
    real.client.prepare(slot)
    folders = [_folder(real, target.replace("/", "-"), target) for target in ("course", "b/deep", "a/course")]
    planted = [Path(home, name) for name in ("course", "b", "a/course")]
    for folder, place in zip(folders, planted, strict=True):
        plant(place, outside)
        with pytest.raises(HomeError, match=f"{folder.target}: {folder.source} cannot be .*{says}"):
            real.client.attach(slot, home, (folder,))
    assert real.mounts() == ()
    assert not list(outside.iterdir())
    for place in planted:
        place.unlink()
    real.client.attach(slot, home, tuple(folders))  # the slot took no harm


def test_a_mount_in_the_way_is_refused(real: SmallHomes) -> None:
    home, folder = real.home("ada"), _folder(real, "course", "course")
    Path(home, "course").mkdir()
    real.run("mount", "-t", "tmpfs", "tmpfs", f"{home}/course")
    with pytest.raises(HomeError, match="something else is mounted there"):
        _attached(real, home, folder)


def test_a_place_leads_down_from_the_home(real: SmallHomes) -> None:
    home, course, slot = real.home("ada"), real.course("course"), new_slot()
    real.client.prepare(slot)
    for target in ("..", "../x", "a/../../x", "/etc", "", ".", "a\0b", "\ud800"):
        with pytest.raises(HomeError):
            real.client.attach(slot, home, (wire.Folder(course, target, read_only=True),))
    assert real.mounts() == ()


@pytest.mark.parametrize("part", ["ada", "ada/_data"])
def test_a_home_is_no_link(real: SmallHomes, part: str) -> None:
    bob = Path(real.home("bob"))
    planted = real.volumes / part
    planted.parent.mkdir(exist_ok=True)
    planted.symlink_to(bob if part.endswith("_data") else bob.parent)
    with pytest.raises(HomeError, match="symbolic link"):
        _attached(real, str(real.volumes / "ada/_data"))


def test_links_in_the_admins_own_path_are_followed(real: SmallHomes) -> None:
    link = real.root / "link"
    link.symlink_to(real.course("course"))
    folder = wire.Folder(str(link), "course", read_only=True)
    real.declare(folder)
    slot = _attached(real, real.home("ada"), folder)
    assert real.seen(real.layout.homes / slot / "course/exercise").read_text() == "course"


def test_links_where_users_write_are_not_followed(real: SmallHomes) -> None:
    exchange = _folder(real, "exchange", "exchange", read_only=False)
    inner = wire.Folder(f"{exchange.source}/handouts", "handouts", read_only=True)
    in_a_home = wire.Folder(f"{real.home('bob')}/handouts", "bob", read_only=True)
    for folder in (inner, in_a_home):
        real.declare(folder)
        Path(folder.source).symlink_to("/etc")  # a user's doing
        with pytest.raises(HomeError, match=f"{folder.source}: cannot be attached: it is a symbolic link"):
            _attached(real, real.home(f"reader-of-{folder.target}"), folder)


def test_a_user_who_swaps_folders_and_links_gets_nowhere(real: SmallHomes) -> None:
    outside = real.root / "outside"
    outside.mkdir()
    home, folder = real.home("ada"), _folder(real, "course", "a/course")
    place, link = os.fsencode(f"{home}/a"), os.fsencode(f"{home}/link")
    os.mkdir(place)
    os.symlink(outside, link)
    swapping, attached, refused = threading.Event(), 0, 0
    swapping.set()

    def swap() -> None:
        libc = ctypes.CDLL(None)
        while swapping.is_set():
            assert libc.renameat2(_AT_FDCWD, place, _AT_FDCWD, link, _RENAME_EXCHANGE) == 0

    user = threading.Thread(target=swap)
    user.start()
    try:
        deadline_s = time.monotonic() + 60
        while (attached < 20 or refused < 20) and time.monotonic() < deadline_s:
            slot = new_slot()
            real.client.prepare(slot)
            try:
                real.client.attach(slot, home, (folder,))
                attached += 1
            except HomeError:
                refused += 1
            real.client.detach(slot)
    finally:
        swapping.clear()
        user.join()
    assert attached >= 20
    assert refused >= 20
    assert not list(outside.iterdir())
    assert real.mounts(outside) == ()
    assert real.mounts() == ()


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def test_places_that_a_user_moves_about_lead_nowhere(real: SmallHomes) -> None:
    outside = real.root / "outside"
    (outside / "course").mkdir(parents=True)
    real.run("mount", "-t", "tmpfs", "tmpfs", str(outside / "course"))
    home = real.home("ada")
    slot = _attached(real, home, _folder(real, "course", "a/course"))
    Path(home, "a").rename(Path(home, "b"))
    Path(home, "a").symlink_to(outside)
    real.client.detach(slot)
    assert real.mounts() == ()
    assert real.mounts(outside) == (str(outside / "course"),)


def test_a_place_that_a_user_removes_is_detached_with_it(real: SmallHomes) -> None:
    home = real.home("ada")
    slot = _attached(real, home, _folder(real, "course", "course"))
    # In this test's own namespace nothing is mounted there, as in a second container of the same user.
    Path(home, "course").rmdir()
    assert len(real.mounts()) == 1
    real.client.detach(slot)
    assert real.mounts() == ()


def test_odd_names_are_found_again(real: SmallHomes) -> None:
    target = "a b\\c\td\u2028e"
    slot = _attached(real, real.home("ada"), _folder(real, "course", target))
    real.client.detach(slot)
    assert real.mounts() == ()


# The configuration in force


@pytest.mark.parametrize(
    "text", ["", "[]", "{", '{"servers": {"lab": {}}}', '{"servers": {"lab": {"home": 1, "mounts": [1]}}}']
)
def test_a_configuration_that_cannot_be_read_declares_nothing(real: SmallHomes, text: str) -> None:
    folder, servers = _folder(real, "course", "course"), real.layout.current / "hub/servers.json"
    servers.write_text(text)
    with pytest.raises(HomeError, match=f"{servers}: is not what this version"):
        _attached(real, real.home("ada"), folder)
    servers.unlink()
    with pytest.raises(HomeError, match=f"{servers}: cannot be read"):
        _attached(real, real.home("bob"), folder)
    assert _attached(real, real.home("cyd"))  # who asks for no folder needs no declaration


def test_a_change_of_the_configuration_counts_at_once(real: SmallHomes) -> None:
    folder = wire.Folder(real.course("course"), "course", read_only=True)
    with pytest.raises(HomeError, match="does not declare"):
        _attached(real, real.home("ada"), folder)
    real.declare(folder)
    assert _attached(real, real.home("bob"), folder)


# Full disks


def test_a_full_run_is_said_and_passes() -> None:
    small = SmallHomes(run_options="nr_inodes=8")
    try:
        small.start()
        small.client.prepare(slot := new_slot())
        with pytest.raises(HomeError, match="No space left"):
            _prepare(small, 9)
        small.client.attach(slot, small.home("ada"), ())
        for one in small.client.slots():
            small.client.detach(one)
        assert small.client.prepare(slot)
    finally:
        small.close()


def test_a_helper_without_any_space_says_so_and_ends() -> None:
    full = SmallHomes(run_options="nr_inodes=2")
    try:
        with pytest.raises(AssertionError, match="the helper ended"):
            full.start()
        assert f"cannot start in {full.layout.homes.parent}: No space left" in full.stop(signal.SIGTERM)
    finally:
        full.close()


def _prepare(real: SmallHomes, slots: int) -> None:
    for _ in range(slots):
        real.client.prepare(new_slot())


def test_a_full_home_takes_no_new_place(real: SmallHomes) -> None:
    home, folder = real.home("ada"), _folder(real, "course", "course")
    real.run("mount", "-t", "tmpfs", "-o", "nr_inodes=1", "tmpfs", home)
    with pytest.raises(HomeError, match=r"course: .*No space left"):
        _attached(real, home, folder)
    assert _attached(real, home)  # but it can still be used, and cleared up


# Ends and restarts of the helper


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL])
def test_what_is_attached_outlives_the_helper(real: SmallHomes, how: signal.Signals) -> None:
    slot, empty = new_slot(), new_slot()
    for one in (slot, empty):
        real.client.prepare(one)
    with real.container(slot) as container, real.container(empty) as waiting:
        real.client.attach(slot, real.home("ada"), (_folder(real, "course", "course"),))
        before = real.mounts()
        real.stop(how)
        assert (container.home / "course/exercise").read_text() == "course"
        for _ in range(2):
            real.start()
            assert real.mounts() == before
            real.stop(signal.SIGTERM)
        real.start()
        assert real.client.slots() == tuple(sorted((slot, empty)))
        real.client.attach(empty, real.home("bob"), ())
        assert (waiting.home / "note").read_text() == "bob"
        real.client.detach(slot)
        assert not list(container.home.iterdir())


def test_what_fails_half_way_is_undone(real: SmallHomes) -> None:
    slot, home = new_slot(), real.home("ada")
    folders = _folder(real, "one", "one"), _folder(real, "two", "two")
    real.client.prepare(slot)
    real.stop(signal.SIGTERM)
    real.start(*_STRACE, "inject=move_mount:error=ENOMEM:when=3")
    with pytest.raises(HomeError, match="Cannot allocate memory"):
        real.client.attach(slot, home, folders)
    assert real.mounts() == ()
    real.client.attach(slot, home, folders[:1])
    assert len(real.mounts()) == 2


_STRACE = ("strace", "-f", "-qq", "-o", "/dev/null", "-e")

_STEPS = [
    *(("open_tree", n) for n in (1, 2, 3)),
    *(("mount_setattr", n) for n in (2, 3)),  # the first is done by each start, in its own thread
    *(("mkdirat", n) for n in (1, 2)),
    ("fchown", 1),
    *(("move_mount", n) for n in (1, 2, 3)),
]


@pytest.mark.parametrize(("call", "number"), _STEPS)
def test_a_helper_killed_while_it_attaches_leaves_what_can_be_cleared_up(
    real: SmallHomes, call: str, number: int
) -> None:
    home = real.home("ada")
    folders = _folder(real, "one", "one"), _folder(real, "two", "two")
    slot = new_slot()
    real.client.prepare(slot)
    real.stop(signal.SIGTERM)
    real.start(*_killed_at(call, number))
    with real.container(slot) as container:
        with pytest.raises(HomeError, match="did not answer"):
            real.client.attach(slot, home, folders)
        _wait_for_the_end(real)
        real.start()
        assert real.client.slots() == (slot,)
        if (container.home / "note").exists():  # half of it is there, and is not passed off as all of it
            with pytest.raises(HomeError, match="never used again"):
                real.client.attach(slot, home, folders)
    real.client.detach(slot)
    assert (real.client.slots(), real.mounts(), real.mounts(real.volumes)) == ((), (), ())
    assert Path(home, "note").read_text() == "ada"
    real.client.detach(_attached(real, home, *folders))


@pytest.mark.parametrize(("call", "number"), [("umount2", 1), ("umount2", 2), ("unlinkat", 1)])
def test_a_helper_killed_while_it_detaches_goes_on_afterwards(
    real: SmallHomes, call: str, number: int
) -> None:
    home = real.home("ada")
    slot = _attached(real, home, _folder(real, "course", "course"))
    real.stop(signal.SIGTERM)
    real.start(*_killed_at(call, number))
    with pytest.raises(HomeError, match="did not answer"):
        real.client.detach(slot)
    _wait_for_the_end(real)
    real.start()
    real.client.detach(slot)
    assert (real.client.slots(), real.mounts()) == ((), ())
    assert Path(home, "note").read_text() == "ada"


@pytest.mark.parametrize(
    ("call", "number"),
    [("open_tree", 1), ("mount_setattr", 1), ("move_mount", 1), ("mount_setattr", 2), ("bind", 1)],
)
def test_a_helper_killed_while_it_starts_is_followed_by_one_that_works(call: str, number: int) -> None:
    fresh = SmallHomes()
    try:
        with pytest.raises(AssertionError, match="the helper ended"):
            fresh.start(*_killed_at(call, number))
        _wait_for_the_end(fresh)
        fresh.start()
        slot = new_slot()
        fresh.client.prepare(slot)
        with fresh.container(slot) as container:
            fresh.client.attach(slot, fresh.home("ada"), ())
            assert (container.home / "note").read_text() == "ada"
        fresh.client.detach(slot)
        assert fresh.mounts(fresh.layout.homes.parent) == (str(fresh.layout.homes),)
    finally:
        fresh.close()


def _killed_at(call: str, number: int) -> tuple[str, ...]:
    """A command that runs the helper until one of its threads makes this call for the nth time."""
    return *_STRACE, f"inject={call}:signal=KILL:when={number}"


def _wait_for_the_end(real: SmallHomes) -> None:
    assert real.helper is not None
    real.helper.wait(20)
    real.helper = None


def test_who_gave_up_gets_nothing_attached_later(real: SmallHomes) -> None:
    slot, home = new_slot(), real.home("ada")
    real.client.prepare(slot)
    assert real.helper is not None
    real.helper.send_signal(signal.SIGSTOP)
    with pytest.raises(HomeError, match="timed out"):
        real.client.attach(slot, home, ())
    real.helper.send_signal(signal.SIGCONT)
    assert real.client.slots() == (slot,)  # asked later, so that the other was read by now
    assert "the request was given up" in real.stop(signal.SIGTERM)
    assert real.mounts() == ()


def test_no_helper_is_said(real: SmallHomes) -> None:
    real.stop(signal.SIGTERM)
    with pytest.raises(HomeError, match=r"systemctl status hubagent-homes\.service"):
        real.client.slots()


# Many at once, and some that hang


def test_a_burst_is_served(real: SmallHomes) -> None:
    course = _folder(real, "course", "course")
    users = {f"user{number}": new_slot() for number in range(50)}
    homes = {user: real.home(user) for user in users}

    def come_and_go(user: str) -> str:
        slot = users[user]
        real.client.prepare(slot)
        real.client.attach(slot, homes[user], (course,))
        seen = real.seen(real.layout.homes / slot)
        found = (seen / "note").read_text() + (seen / "course/exercise").read_text()
        real.client.detach(slot)
        return found

    with ThreadPoolExecutor(len(users)) as pool:
        assert list(pool.map(come_and_go, users)) == [f"{user}course" for user in users]
    assert (real.client.slots(), real.mounts()) == ((), ())


def test_a_file_server_that_hangs_holds_up_nobody_else(real: SmallHomes) -> None:
    stuck = real.volumes / "stuck"
    stuck.mkdir()
    # A FUSE file system that nobody serves: everything in it hangs until its descriptor is closed.
    server = subprocess.Popen(
        real.inside(sys.executable, "-c", _DEAD_FILE_SYSTEM, str(stuck)),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert server.stdin is not None
    assert server.stdout is not None
    assert server.stdout.readline() == "mounted\n"
    slots = [new_slot() for _ in range(3)]
    for slot in slots:
        real.client.prepare(slot)
    for slot in slots[:2]:
        with pytest.raises(HomeError, match="timed out"):
            real.client.attach(slot, str(stuck / "_data"), ())
    with pytest.raises(HomeError, match="does not answer"):  # at once: the first waits for 4 s by now
        real.client.attach(slots[2], str(stuck / "_data"), ())
    with pytest.raises(HomeError, match="still being attached"):
        real.client.detach(slots[0])
    other = _attached(real, real.home("ada"))
    real.client.detach(other)
    server.communicate("")
    for slot in slots:
        wait_until(lambda slot=slot: _is_detached(real, slot), timeout_s=10)  # type: ignore[misc]
    assert real.mounts() == ()


_DEAD_FILE_SYSTEM = """
import ctypes, os, sys
device = os.open("/dev/fuse", os.O_RDWR)
options = f"fd={device},rootmode=40000,user_id=0,group_id=0".encode()
if ctypes.CDLL(None, use_errno=True).mount(b"dead", sys.argv[1].encode(), b"fuse", 0, options):
    raise OSError(ctypes.get_errno(), "mount")
print("mounted", flush=True)
sys.stdin.read()
"""


def _is_detached(real: SmallHomes, slot: str) -> bool:
    try:
        real.client.detach(slot)
    except HomeError:
        return False
    return True


# What gives way to a user's start


def test_what_gives_way_goes_on_when_the_helper_or_who_asked_it_ends(real: SmallHomes) -> None:
    groups = real.groups
    groups.run()
    for how in (signal.SIGTERM, signal.SIGKILL):
        docker, container = real.client.idle_docker(), real.client.freeze(CONTAINER)
        with docker, container:
            groups.await_still(still=True)
            groups.await_idle("1", "1")
            real.stop(how)
            if how is signal.SIGKILL:
                assert groups.idle() == ["1", "1"]  # nobody was left to do it
            real.start()
            groups.await_still(still=False)
            groups.await_idle("0", "0")
    assert groups.weights() == ["1024", "1024"]


def test_the_end_of_the_helper_waits_for_nobody_who_holds_something(real: SmallHomes) -> None:
    with real.client.freeze(CONTAINER), real.client.idle_docker():
        assert "do not finish" not in real.stop(signal.SIGTERM)


def test_docker_is_not_idle_for_long_however_long_it_is_held(real: SmallHomes) -> None:
    with real.client.idle_docker():
        real.groups.await_idle("1", "1")
        real.groups.await_idle("0", "0")


def test_who_dies_holds_nothing(real: SmallHomes) -> None:
    real.groups.run()
    agent = subprocess.Popen(
        [sys.executable, "-c", _HOLDING, str(real.seen(real.layout.homes_socket)), CONTAINER],
        stdout=subprocess.PIPE,
    )
    assert agent.stdout is not None
    assert agent.stdout.readline() == b"held\n"
    real.groups.await_still(still=True)
    agent.kill()
    agent.wait()
    agent.stdout.close()
    real.groups.await_still(still=False)


_HOLDING = """
import sys, time
from pathlib import Path
from hubagent.adapters.net.homes_helper import HomesClient
hold = HomesClient(Path(sys.argv[1])).freeze(sys.argv[2])
print("held", flush=True)
time.sleep(600)
"""
