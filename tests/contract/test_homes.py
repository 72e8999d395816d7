"""Homes: the fake and the real helper give the same answers."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import pytest

from hubagent import wire
from hubagent.errors import HomeError
from hubagent.pool.ports import Homes
from tests.contract.small_groups import CONTAINER
from tests.contract.small_homes import SmallHomes
from tests.fakes.homes_pool import HOMES, FakeHomes
from tests.waiting import wait_until


class World(Protocol):
    """A Homes with what it may attach."""

    @property
    def homes(self) -> Homes: ...

    def home(self, user: str) -> str: ...

    def declared(self, *, read_only: bool) -> wire.Folder: ...

    def outside(self) -> str: ...

    def idles(self) -> bool:
        """Whether Docker does."""
        ...

    def stands_still(self) -> bool:
        """Whether the container CONTAINER does."""
        ...


class Memory:
    def __init__(self) -> None:
        self._folders = (
            wire.Folder("/srv/courses/ro", "courses/ro", read_only=True),
            wire.Folder("/srv/courses/rw", "courses/rw", read_only=False),
        )
        self.homes = FakeHomes(declared=self._folders)
        self.homes.missing.add(f"{HOMES}/nobody/_data")
        self.homes.elsewhere.add("f" * 64)

    def home(self, user: str) -> str:
        return f"{HOMES}/{user}/_data"

    def declared(self, *, read_only: bool) -> wire.Folder:
        return self._folders[0 if read_only else 1]

    def outside(self) -> str:
        return "/srv/courses/ro"

    def idles(self) -> bool:
        return bool(self.homes.idle)

    def stands_still(self) -> bool:
        return CONTAINER in self.homes.frozen


class Real:
    def __init__(self, real: SmallHomes) -> None:
        self._real = real
        self._folders = [
            wire.Folder(real.course(name), f"courses/{name}", read_only=name == "ro") for name in ("ro", "rw")
        ]
        real.declare(*self._folders)
        self.homes = real.client

    def home(self, user: str) -> str:
        folder = self._real.volumes / user / "_data"
        return str(folder) if folder.exists() or user == "nobody" else self._real.home(user)

    def declared(self, *, read_only: bool) -> wire.Folder:
        return self._folders[0 if read_only else 1]

    def outside(self) -> str:
        return self._folders[0].source

    def idles(self) -> bool:
        return set(self._real.groups.idle()) == {"1"}

    def stands_still(self) -> bool:
        return self._real.groups.stands_still()


@dataclass(frozen=True)
class Case:
    world: World
    slot: str

    @property
    def homes(self) -> Homes:
        return self.world.homes


@pytest.fixture(params=["fake", "real"])
def case(request: pytest.FixtureRequest) -> Iterator[Case]:
    if request.param == "fake":
        yield Case(Memory(), new_slot())
        return
    real = SmallHomes()
    try:
        real.start()
        yield Case(Real(real), new_slot())
    finally:
        real.close()


def new_slot() -> str:
    return secrets.token_hex(6)


def _attach_some_home_to_a_new_slot(case: Case) -> None:
    case.homes.prepare(case.slot)
    _attach_some_home(case)


def _attach_some_home(case: Case) -> None:
    """The slot took no harm by what went before."""
    case.homes.attach(case.slot, case.world.home("zoe"), ())


def test_a_home_is_known_by_its_identity(case: Case) -> None:
    again, other = new_slot(), new_slot()
    for slot in (case.slot, again, other):
        assert case.homes.prepare(slot).endswith(f"/{slot}")
    ada = case.homes.attach(case.slot, case.world.home("ada"), ())
    assert ada == case.homes.attach(again, case.world.home("ada"), ())  # two servers of one user
    assert ada != case.homes.attach(other, case.world.home("bob"), ())


def test_slots_are_listed_until_they_are_detached(case: Case) -> None:
    other = new_slot()
    assert case.homes.slots() == ()
    for slot in (case.slot, other):
        case.homes.prepare(slot)
    case.homes.attach(case.slot, case.world.home("ada"), (case.world.declared(read_only=True),))
    assert case.homes.slots() == tuple(sorted((case.slot, other)))
    for slot in (case.slot, other, case.slot):  # the last one is absent by then, which is fine
        case.homes.detach(slot)
    assert case.homes.slots() == ()


def test_a_slot_that_was_not_prepared_takes_no_home(case: Case) -> None:
    with pytest.raises(HomeError, match="was not prepared"):
        case.homes.attach(case.slot, case.world.home("ada"), ())


def test_a_slot_takes_one_home_only(case: Case) -> None:
    case.homes.prepare(case.slot)
    assert case.homes.prepare(case.slot)  # the answer may have been lost
    case.homes.attach(case.slot, case.world.home("ada"), ())
    for user in ("ada", "bob"):
        with pytest.raises(HomeError, match="never used again"):
            case.homes.attach(case.slot, case.world.home(user), ())
    with pytest.raises(HomeError, match="never used again"):
        case.homes.prepare(case.slot)


@pytest.mark.parametrize(
    "slot", ["", "0123456789a", "0123456789abc", "0123456789AB", "../../../etc", "01234/6789ab"]
)
def test_an_id_has_12_hex_digits(case: Case, slot: str) -> None:
    for call in (case.homes.prepare, case.homes.detach):
        with pytest.raises(HomeError, match="12 hex digits"):
            call(slot)
    with pytest.raises(HomeError, match="12 hex digits"):
        case.homes.attach(slot, case.world.home("ada"), ())


def test_a_home_lies_where_homes_are(case: Case) -> None:
    case.homes.prepare(case.slot)
    home = case.world.home("ada")
    root = home.removesuffix("/ada/_data")
    for source in (
        root,
        case.world.outside(),
        f"{home}/../../../courses/ro",
        "ada/_data",
        "/",
        "",
        f"{root}x/a",
    ):
        with pytest.raises(HomeError):
            case.homes.attach(case.slot, source, ())
    with pytest.raises(HomeError, match="nobody"):
        case.homes.attach(case.slot, case.world.home("nobody"), ())
    _attach_some_home(case)


def test_a_folder_is_as_declared_or_stricter(case: Case) -> None:
    case.homes.prepare(case.slot)
    readable, writable = (case.world.declared(read_only=value) for value in (True, False))
    undeclared = (
        wire.Folder(readable.source, readable.target, read_only=False),
        wire.Folder(readable.source, "elsewhere", read_only=True),
        wire.Folder(readable.source, writable.target, read_only=True),
        wire.Folder(f"{readable.source}/..", readable.target, read_only=True),
        wire.Folder("/etc", readable.target, read_only=True),
        wire.Folder(case.world.home("bob"), readable.target, read_only=True),
    )
    for folder in undeclared:
        with pytest.raises(HomeError, match="does not declare"):
            case.homes.attach(case.slot, case.world.home("ada"), (writable, folder))
    stricter = wire.Folder(writable.source, writable.target, read_only=True)
    assert case.homes.attach(case.slot, case.world.home("ada"), (readable, stricter))


def _await(case: Case, *, idles: bool = False, stands_still: bool = False) -> None:
    wait_until(
        lambda: (case.world.idles(), case.world.stands_still()) == (idles, stands_still),
        lambda: f"idle {case.world.idles()}, still {case.world.stands_still()}",
        timeout_s=10.0,
    )


def test_docker_is_idle_until_it_is_let_go_of(case: Case) -> None:
    with contextlib.closing(case.homes.idle_docker()):
        _await(case, idles=True)
        with contextlib.closing(case.homes.idle_docker()):
            pass
        _await(case, idles=True)  # somebody else wants it so
        _attach_some_home_to_a_new_slot(case)
    _await(case)


def test_a_container_stands_still_until_it_is_let_go_of(case: Case) -> None:
    hold, other = case.homes.freeze(CONTAINER), case.homes.freeze(CONTAINER)
    _await(case, stands_still=True)
    other.close()
    assert case.world.stands_still()  # somebody else wants it so
    hold.close()
    hold.close()
    _await(case)


@pytest.mark.parametrize("container", ["", "0123456789ab", "../" + "0" * 61, "A" * 64])
def test_a_container_has_64_hex_digits(case: Case, container: str) -> None:
    with pytest.raises(HomeError, match="64 hex digits"):
        case.homes.freeze(container)


def test_a_container_that_there_is_not_is_refused(case: Case) -> None:
    with pytest.raises(HomeError, match="no control group"):
        case.homes.freeze("f" * 64)
