"""Homes: made once, filled, given to the image's user, and finished by the next start when that broke off."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubagent.config.kinds.types import ServerName
from hubagent.config.model.servers import Server
from hubagent.errors import ContainerError, HubagentError
from hubagent.pool.owners import Account
from hubagent.pool.ports import ContainerSpec, ImageFacts
from hubagent.pool.refusal import SpawnError
from hubagent.pool.volumes import Home, home_owner
from tests.fakes import FakeContainers
from tests.unit.pool.volumes import volumes_on

SERVER = Server(name=ServerName("julia"), title="Julia")
VOLUME = "jupyterhub-user-ada"
HOME = Home(VOLUME, f"/var/lib/docker/volumes/{VOLUME}/_data")
ADA = Account("ada", "a" * 32)


@pytest.fixture
def containers() -> FakeContainers:
    return FakeContainers()


def test_a_new_home_is_filled_and_given_away(containers: FakeContainers) -> None:
    assert volumes_on(containers).home_of(SERVER, ADA) == HOME
    assert containers.volumes == {
        VOLUME: {
            "hubagent.user": "ada",
            "hubagent.account": ADA.id,
            "hubagent.pattern": "jupyterhub-user-{username}",
        }
    }
    assert containers.containers == {}
    assert [call for call, _ in containers.journal if call in ("own_folder", "start", "remove")] == [
        "remove",  # of what an earlier one may have left
        "own_folder",
        "remove",
    ]


def test_a_home_that_was_there_is_left_alone(containers: FakeContainers) -> None:
    containers.volumes[VOLUME] = {}
    volumes = volumes_on(containers)
    for _ in range(2):
        assert volumes.home_of(SERVER, ADA) == HOME
    assert containers.calls("own_folder") == []
    assert len(containers.calls("inspect")) == 1, "asked once whether it is finished"


def test_an_image_that_starts_as_root_gives_it_away_itself(containers: FakeContainers) -> None:
    containers.images[SERVER.image] = ImageFacts("sha256:2", "", ())
    assert volumes_on(containers).home_of(SERVER, ADA) == HOME
    assert containers.calls("own_folder") == []


def test_the_owner_is_the_images_user(containers: FakeContainers) -> None:
    owners: list[dict[str, tuple[int, int]]] = []
    remove = containers.remove

    def look(container: str) -> None:
        found = containers.named(container)
        if found is not None:
            owners.append(found.owned)
        remove(container)

    containers.remove = look  # type: ignore[method-assign]
    volumes_on(containers).home_of(SERVER, ADA)
    assert owners == [{"/home/jovyan/work": (1000, 100)}]


@pytest.mark.parametrize("call", ["create", "read_file", "own_folder"])
@pytest.mark.parametrize("after", [False, True])
def test_a_home_that_cannot_be_made_leaves_nothing(
    containers: FakeContainers, call: str, after: bool
) -> None:
    containers.fail(call, after=after)
    volumes = volumes_on(containers)
    with pytest.raises(HubagentError):
        volumes.home_of(SERVER, ADA)
    assert containers.volumes == {}
    assert containers.containers == {}
    assert volumes.home_of(SERVER, ADA) == HOME


@pytest.mark.parametrize("call", ["create", "read_file", "own_folder", "remove"])
def test_an_agent_killed_meanwhile_leaves_it_to_the_next(containers: FakeContainers, call: str) -> None:
    """Killed: nothing at all happens after that call."""

    class KilledError(BaseException):
        pass

    original = getattr(containers, call)
    made = threading.Event()

    def killed(*args: object) -> object:
        if call == "remove" and not made.is_set():
            made.set()
            return original(*args)
        original(*args) if call != "remove" else None
        containers.stop_engine()
        raise KilledError

    setattr(containers, call, killed)
    with pytest.raises((KilledError, ContainerError)):
        volumes_on(containers).home_of(SERVER, ADA)
    containers.start_engine()
    setattr(containers, call, original)
    assert containers.volumes
    assert len(containers.containers) == 1

    before = len(containers.calls("own_folder"))
    assert volumes_on(containers).home_of(SERVER, ADA) == HOME
    assert len(containers.calls("own_folder")) == before + 1, "it is given away (again)"
    assert containers.containers == {}


@pytest.mark.parametrize("call", ["inspect", "create", "own_folder"])
def test_a_home_of_before_is_never_removed(containers: FakeContainers, call: str) -> None:
    """Not even where an unfinished one is finished in vain."""
    killed = FakeContainers()
    volumes_on(killed).home_of(SERVER, ADA)
    [made] = set(killed.calls("create"))
    containers.volumes[VOLUME] = {}
    containers.create(_unfinished(made))
    containers.fail(call)
    with pytest.raises(HubagentError):
        volumes_on(containers).home_of(SERVER, ADA)
    assert VOLUME in containers.volumes
    assert containers.calls("remove_volume") == []


def _unfinished(name: str) -> ContainerSpec:
    return ContainerSpec(
        name=name,
        image=SERVER.image,
        command=(),
        environment={},
        labels={},
        network="none",
        memory_bytes=1,
        cpus=1.0,
        processes=1,
    )


def test_an_image_without_its_user_or_without_itself_is_named(containers: FakeContainers) -> None:
    containers.images[SERVER.image] = ImageFacts("sha256:2", "nobody-knows", ())
    with pytest.raises(SpawnError, match="runs as 'nobody-knows', whom its /etc/passwd does not know"):
        volumes_on(containers).home_of(SERVER, ADA)
    containers.images.clear()
    with pytest.raises(SpawnError, match="Image hubagent/julia is not on this server"):
        volumes_on(containers).home_of(SERVER, ADA)
    assert containers.volumes == {}


def test_two_servers_of_one_user_make_one_home(containers: FakeContainers) -> None:
    volumes = volumes_on(containers)
    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(lambda _: volumes.home_of(SERVER, ADA), range(8))) == {HOME}
    assert len(containers.calls("own_folder")) == 1


@pytest.mark.parametrize(
    ("user", "owner"),
    [
        ("jovyan", (1000, 100)),
        ("jovyan:5", (1000, 5)),
        ("1000", (1000, 100)),
        ("4711", (4711, 0)),
        ("4711:42", (4711, 42)),
        ("nobody", None),
        ("", None),
    ],
)
def test_who_the_images_user_is(user: str, owner: tuple[int, int] | None) -> None:
    passwd = "broken\nroot:x:0:0::/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/sh\nodd:x:y:z::\n"
    assert home_owner(user, passwd) == owner


@given(st.text(max_size=20), st.text(max_size=80))
def test_no_passwd_is_too_broken(user: str, passwd: str) -> None:
    owner = home_owner(user, passwd)
    assert owner is None or all(number >= 0 for number in owner)
