"""A home belongs to an account, not to a name: who gets which, whatever was written down, lost or damaged, and wherever
the agent dies."""

from __future__ import annotations

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubagent.config.kinds.types import ServerName
from hubagent.config.model.servers import Server
from hubagent.errors import StorageError
from hubagent.layout import LABEL_ACCOUNT, LABEL_USER
from hubagent.pool.belonging import Verdict, verdict
from hubagent.pool.owners import Account, How, Owner, file_name, from_json
from hubagent.pool.ports import VolumeFacts
from hubagent.pool.refusal import SpawnError
from hubagent.pool.volumes import FOREIGN, Volumes
from tests.fakes import FakeContainers, ManualClock
from tests.unit.pool.mortal import Killed, Life, Mortal
from tests.unit.pool.volumes import LAYOUT, owners_on, state

SERVER = Server(name=ServerName("julia"), title="Julia")
OTHER = dataclasses.replace(SERVER, name=ServerName("r"), volume=type(SERVER.volume)("r-{username}"))
LARGER = dataclasses.replace(SERVER, name=ServerName("larger"), memory_bytes=2 * SERVER.memory_bytes)
OLD, NEW = Account("ada", "a" * 32, 100.0), Account("ada", "b" * 32, 10_000.0)
RENAMED = dataclasses.replace(OLD, user="grace")
BEFORE = Account("ada")  # as an older hub asks
HOME = "jupyterhub-user-ada"
FILE = LAYOUT.home_owners / file_name(HOME)


class World:
    """A machine; `volumes` is the agent that runs, `next_agent` its successor."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.files = state()
        self.containers = FakeContainers(now=self.clock.time)
        self.foreign = 0
        self.volumes = self.next_agent()

    def next_agent(self, life: Life | None = None) -> Volumes:
        lasting = life or Life()
        self.volumes = Volumes(
            Mortal(self.containers, lasting),
            owners_on(Mortal(self.files, lasting)),
            self.clock,
            on_foreign=self._foreign_one,
        )
        return self.volumes

    def _foreign_one(self) -> None:
        self.foreign += 1

    def home(self, account: Account, server: Server = SERVER) -> str:
        return self.volumes.home_of(server, account).volume

    def is_foreign(self, account: Account, server: Server = SERVER) -> bool:
        try:
            self.home(account, server)
        except SpawnError as error:
            assert (error.reason, str(error)) == ("foreign_home", FOREIGN)
            return True
        return False

    def owner(self, volume: str = HOME) -> Owner:
        """As it is on disk."""
        found = owners_on(self.files).get(volume)
        assert found is not None
        return found

    def bring(self, volume: str = HOME, *, made_s: float, **labels: str) -> None:
        """A volume that was there before accounts were told apart."""
        self.containers.volumes[volume] = labels
        self.containers.volumes_made_s[volume] = made_s

    def lose(self, damage: bytes | None = None) -> None:
        """The file that says whose the home is, and the agent that remembers it."""
        if damage is None:
            self.files.remove(FILE)
        else:
            self.files.write(FILE, damage, mode=0o600)
        self.next_agent()


@pytest.fixture
def world() -> World:
    return World()


def test_a_new_home_says_whose_it_is(world: World) -> None:
    assert world.home(OLD) == HOME
    assert world.containers.volumes[HOME][LABEL_ACCOUNT] == OLD.id
    owner = world.owner()
    assert (owner.account, owner.user, owner.how, owner.label) == (OLD.id, "ada", How.MADE, OLD.id)
    assert world.files.mode(FILE) == 0o600


def test_a_later_account_of_the_name_waits(world: World) -> None:
    world.home(OLD)
    for _ in range(2):
        assert world.is_foreign(NEW)
        world.next_agent()
    owner = world.owner()
    assert (owner.account, owner.wanted_by, owner.waits) == (OLD.id, NEW.id, True)
    assert world.foreign == 1, "told once"
    assert world.home(OLD) == HOME, "whose it is still gets it"


def test_a_renamed_user_keeps_the_home_and_who_takes_the_name_does_not_get_it(world: World) -> None:
    world.home(OLD)
    assert world.home(RENAMED) == HOME
    assert world.owner().user == "grace"
    world.next_agent()
    assert world.home(RENAMED) == HOME
    assert world.is_foreign(NEW)


def test_entries_that_share_a_pattern_share_the_home_and_others_do_not(world: World) -> None:
    assert world.home(OLD) == world.home(OLD, LARGER) == HOME
    assert world.home(OLD, OTHER) == "r-ada"
    assert world.home(RENAMED, OTHER) == "r-ada"
    assert world.is_foreign(NEW, OTHER)


def test_patterns_by_which_different_names_meet_share_nothing(world: World) -> None:
    """`jupyterhub-user-x{username}` of `y` and `jupyterhub-user-{username}` of `xy` are one name."""
    odd = dataclasses.replace(SERVER, volume=type(SERVER.volume)("jupyterhub-user-x{username}"))
    world.home(Account("y", "c" * 32, 1.0), odd)
    assert world.is_foreign(Account("xy", "d" * 32, 1.0))


class TestHomesFromBefore:
    """Volumes that say nothing of an account: made by an older agent, brought from another hub, or made by hand."""

    @pytest.mark.parametrize("labels", [{LABEL_USER: "ada"}, {}], ids=["made here", "brought"])
    def test_an_account_that_is_older_has_had_it(self, world: World, labels: dict[str, str]) -> None:
        world.bring(made_s=OLD.created_s + 50, **labels)
        assert world.home(OLD) == HOME
        assert world.owner().how is How.ADOPTED
        world.next_agent()
        assert world.home(RENAMED) == HOME
        assert world.is_foreign(NEW)

    @pytest.mark.parametrize("labels", [{LABEL_USER: "ada"}, {}], ids=["made here", "brought"])
    def test_one_that_is_younger_may_be_somebody_else(self, world: World, labels: dict[str, str]) -> None:
        world.bring(made_s=NEW.created_s - 50, **labels)
        assert world.is_foreign(NEW)
        owner = world.owner()
        assert (owner.account, owner.how, owner.wanted_by) == ("", How.UNKNOWN, NEW.id)
        assert world.home(dataclasses.replace(OLD, created_s=NEW.created_s - 60)) == HOME

    def test_that_of_another_name_is_not_adopted(self, world: World) -> None:
        world.bring(made_s=1e9, **{LABEL_USER: "somebody else"})
        assert world.is_foreign(OLD)

    def test_an_account_from_before_times_were_kept_is_older_than_all(self, world: World) -> None:
        world.bring(made_s=1.0, **{LABEL_USER: "ada"})
        assert world.home(dataclasses.replace(OLD, created_s=0.0)) == HOME

    def test_a_home_that_was_made_a_moment_before_its_account_is_theirs(self, world: World) -> None:
        """As an older hub has it made: it says who comes before it writes the account down."""
        world.bring(made_s=99.0, **{LABEL_USER: "ada"})
        assert world.home(dataclasses.replace(OLD, created_s=100.9)) == HOME

    def test_all_are_told_apart_as_soon_as_the_hub_says_who_there_is(self, world: World) -> None:
        world.bring(made_s=200.0, **{LABEL_USER: "ada"})
        world.bring("r-ada", made_s=200.0)
        world.bring("jupyterhub-user-eve", made_s=200.0, **{LABEL_USER: "eve"})
        late = Account("eve", "e" * 32, 5_000.0)
        world.volumes.know(
            [SERVER.volume, OTHER.volume, SERVER.volume], [OLD, late, Account("bob", "f" * 32)]
        )
        assert [owner.volume for owner in owners_on(world.files).all()] == [HOME, "r-ada"]
        assert "jupyterhub-user-bob" not in world.containers.volumes, "nothing is made"
        world.volumes.know([SERVER.volume], [RENAMED])
        assert world.owner().user == "grace"
        assert world.home(RENAMED) == HOME
        calls = len(world.containers.calls("volume"))
        world.volumes.know([SERVER.volume, OTHER.volume], [RENAMED])
        assert len(world.containers.calls("volume")) <= calls + 1, "what is known is not looked at again"


class TestAnOlderHub:
    """It does not say which account asks."""

    def test_what_nobody_is_known_to_own_goes_by_the_name(self, world: World) -> None:
        assert world.home(BEFORE) == HOME
        assert world.containers.volumes[HOME] == {LABEL_USER: "ada"}
        assert world.files.list_dir(LAYOUT.home_owners) == ()
        assert world.home(BEFORE) == HOME
        world.clock.advance(1e6)
        assert world.home(OLD) == HOME, "and is its account's once the hub says which that is"

    def test_what_is_somebodys_goes_to_whom_it_was_of_when_last_heard(self, world: World) -> None:
        world.home(OLD)
        assert world.home(BEFORE) == HOME
        world.home(RENAMED)
        assert world.is_foreign(BEFORE)
        assert world.owner().waits


class TestWhatIsLost:
    @pytest.mark.parametrize(
        "damage", [None, b"", b"{", b"[]", b"\0" * 100, b'{"format": 2}', b'{"format": 1}'], ids=repr
    )
    def test_the_volume_itself_says_whose_it_is(self, world: World, damage: bytes | None) -> None:
        world.home(OLD)
        world.home(RENAMED)
        world.lose(damage)
        assert world.is_foreign(NEW)
        world.lose(damage)
        assert world.home(RENAMED) == HOME, "found by its label, though the name is another"

    @pytest.mark.parametrize("damage", [None, b"{"], ids=repr)
    def test_one_that_was_adopted_is_so_by_the_older_account_alone(
        self, world: World, damage: bytes | None
    ) -> None:
        world.bring(made_s=200.0, **{LABEL_USER: "ada"})
        world.home(OLD)
        world.lose(damage)
        assert world.is_foreign(NEW)
        world.lose(damage)
        assert world.home(OLD) == HOME

    def test_a_file_in_the_place_of_anothers_counts_for_nobody(self, world: World) -> None:
        world.home(OLD)
        eve = Account("eve", "e" * 32, 1.0)
        world.home(eve)
        content = world.files.read(LAYOUT.home_owners / file_name("jupyterhub-user-eve"), max_bytes=10_000)
        assert content is not None
        world.lose(content.content)
        assert world.is_foreign(dataclasses.replace(eve, user="ada", id="9" * 32))
        assert world.home(eve) == "jupyterhub-user-eve"

    @pytest.mark.parametrize("at", range(0, 400, 7))
    def test_no_flipped_bit_hands_a_home_out(self, world: World, at: int) -> None:
        world.home(OLD)
        found = world.files.read(FILE, max_bytes=10_000)
        assert found is not None
        flipped = bytearray(found.content)
        flipped[at % len(flipped)] ^= 1 << at % 8
        world.lose(bytes(flipped))
        assert world.is_foreign(NEW)
        world.lose(bytes(flipped))
        assert world.home(OLD) == HOME

    def test_another_volume_of_the_name_is_another_home(self, world: World) -> None:
        """Docker's data lay elsewhere for a while."""
        world.home(OLD)
        elsewhere = world.containers.volumes.pop(HOME)
        assert world.home(NEW) == HOME
        assert world.containers.volumes[HOME][LABEL_ACCOUNT] == NEW.id
        world.containers.volumes[HOME] = elsewhere
        assert world.is_foreign(NEW)
        world.next_agent()
        assert world.is_foreign(NEW)
        world.lose()
        assert world.home(OLD) == HOME

    def test_a_full_disk_keeps_nobody_from_their_home(self, world: World) -> None:
        world.home(OLD)
        world.bring("jupyterhub-user-eve", made_s=200.0)
        world.next_agent()
        world.files.fail("write", LAYOUT.home_owners, "no space left on device")
        assert world.home(OLD) == HOME
        assert world.home(Account("eve", "e" * 32, 1.0)) == "jupyterhub-user-eve"

    def test_a_disk_that_cannot_be_read_hands_no_home_out(self, world: World) -> None:
        world.home(OLD)
        world.next_agent()
        world.files.fail("read", LAYOUT.home_owners, "input/output error")
        assert world.is_foreign(NEW)
        world.next_agent()
        world.files.fail("list_dir", LAYOUT.home_owners, "input/output error")
        with pytest.raises(StorageError):
            world.home(OLD)


def test_a_deleted_account_is_remembered_until_it_asks_again(world: World) -> None:
    world.home(OLD)
    world.home(OLD, OTHER)
    world.volumes.gone(OLD)
    assert world.owner().gone_s > 0
    assert world.owner("r-ada").gone_s > 0
    assert world.is_foreign(NEW)
    world.volumes.gone(NEW)
    assert not world.owner().waits, "who asked is gone, too"
    assert world.home(OLD) == HOME, "the hub was restored, say"
    assert world.owner().gone_s == 0


def test_wherever_the_agent_dies_nobody_gets_what_is_not_theirs(world: World) -> None:
    """A first start, an adoption, a rename and a refused start, broken off before every step of each."""
    for prepare, account in (
        (lambda one: None, OLD),
        (lambda one: one.bring(made_s=200.0, **{LABEL_USER: "ada"}), OLD),
        (lambda one: one.home(OLD), RENAMED),
        (lambda one: one.home(OLD), NEW),
    ):
        steps = 0
        while True:
            machine = World()
            prepare(machine)
            machine.next_agent(Life(steps))
            try:
                machine.volumes.home_of(SERVER, account)
                done = True
            except Killed:
                done = False
            except SpawnError:
                done = True
            machine.next_agent()
            assert machine.is_foreign(account) == (account is NEW)
            assert machine.is_foreign(NEW)
            assert not machine.containers.containers
            if done:
                break
            steps += 1
        assert steps > 3


TIMES = st.floats(0, 1e10)


@given(st.builds(Account, st.just("ada"), st.just("b" * 32), TIMES), TIMES)
def test_an_account_of_todays_hub_never_has_a_labelled_home_of_another(
    account: Account, made_s: float
) -> None:
    labelled = VolumeFacts(HOME, "/home", {LABEL_USER: "ada", LABEL_ACCOUNT: "a" * 32}, made_s)
    for owner in (None, Owner(HOME, SERVER.volume, "a" * 32, "ada", 1.0, How.MADE, label="a" * 32)):
        assert verdict(account, owner, labelled) is Verdict.FOREIGN


@given(st.binary(max_size=300))
def test_what_is_no_owners_file_is_refused(content: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        from_json(content)
