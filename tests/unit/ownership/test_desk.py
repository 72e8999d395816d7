"""keep, archive and set-aside: what each does, what it refuses, and a death between any two of its steps."""

from __future__ import annotations

import io
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from hubagent.adapters.files.home_files import LocalArchiveFiles, size_of
from hubagent.adapters.files.trees import LocalTrees
from hubagent.backup import archive as archives
from hubagent.config.kinds.types import ServerName
from hubagent.config.model.servers import Server
from hubagent.errors import BackupError, BusyError, HubagentError, StorageError, TemporaryError, UsageError
from hubagent.layout import LABEL_ACCOUNT, LABEL_USER, LABEL_VOLUME
from hubagent.ownership.archive import Archives
from hubagent.ownership.clerk import Clerk, decide
from hubagent.ownership.desk import Desk
from hubagent.ownership.listing import Home, State, homes, uses
from hubagent.ownership.requests import Answer, Decision, Decisions, Outcome, Verb
from hubagent.pool.owners import Account, How
from hubagent.pool.ports import ContainerSpec, VolumeFacts
from hubagent.pool.refusal import SpawnError
from hubagent.pool.slots import Phase, Slot
from hubagent.pool.volumes import Volumes
from tests.fakes import FakeContainers, ManualClock
from tests.unit.pool.mortal import Killed, Life, Mortal
from tests.unit.pool.volumes import LAYOUT, owners_on, state
from tests.waiting import wait_until

SERVER = Server(name=ServerName("julia"), title="Julia")
OTHER = Server(name=ServerName("r"), title="R", volume=type(SERVER.volume)("r-{username}"))
OLD, NEW = Account("ada", "a" * 32, 100.0), Account("ada", "b" * 32, 10_000.0)
HOME, OWN = "jupyterhub-user-ada", f"jupyterhub-user-ada--{'b' * 16}"


class Disks(FakeContainers):
    """Volumes that are folders, with a file of their owner's in each."""

    def __init__(self, root: Path, now: Callable[[], float]) -> None:
        super().__init__(now=now)
        self.root = root
        self.elsewhere: set[str] = set()

    def volume(self, name: str) -> VolumeFacts | None:
        found = super().volume(name)
        path = "" if name in self.elsewhere else str(self.root / name)
        return None if found is None else VolumeFacts(name, path, found.labels, found.created_s)

    def _make_volume(self, name: str, labels: Any) -> None:
        super()._make_volume(name, labels)
        (self.root / name).mkdir(exist_ok=True)

    def remove_volume(self, name: str) -> None:
        super().remove_volume(name)
        for file in (self.root / name).glob("*"):
            file.unlink()
        with suppress(FileNotFoundError):
            (self.root / name).rmdir()


class Files(LocalArchiveFiles):
    """With a disk that may give back something else than was written."""

    def __init__(self) -> None:
        self.damage: Callable[[bytes], bytes] = lambda content: content

    @contextmanager
    def old(self, path: Path) -> Iterator[BinaryIO]:
        yield io.BytesIO(self.damage(path.read_bytes()))


class World:
    def __init__(self, root: Path) -> None:
        self.root = root
        (root / "volumes").mkdir(parents=True, exist_ok=True)
        self.clock = ManualClock()
        self.files = state()
        self.containers = Disks(root / "volumes", self.clock.time)
        self.archive_files = Files()
        self.slots: list[Slot] = []
        self.starts_end = True
        self.agent()

    def agent(self, life: Life | None = None) -> Desk:
        """The next one."""
        lasting = life or Life()
        containers = Mortal(self.containers, lasting)
        owners = owners_on(Mortal(self.files, lasting))
        self.volumes = Volumes(containers, owners, self.clock)
        self.desk = Desk(
            owners,
            volumes=self.volumes,
            containers=containers,
            archives=Archives(
                self.root / "archive",
                trees=Mortal(LocalTrees(), lasting),
                files=Mortal(self.archive_files, lasting),
                make_folder=lambda folder: folder.mkdir(mode=0o700, exist_ok=True),
                host="here",
                version="0.2",
            ),
            clock=self.clock,
            uses=lambda: uses(containers, self.slots),
            starts_ended=lambda users, timeout_s: self.starts_end,
        )
        return self.desk

    def home(self, account: Account, server: Server = SERVER) -> str:
        return self.volumes.home_of(server, account).volume

    def write(self, volume: str, text: str) -> None:
        (self.root / "volumes" / volume / "note.txt").write_text(text)

    def read(self, volume: str) -> str | None:
        file = self.root / "volumes" / volume / "note.txt"
        return file.read_text() if file.exists() else None

    def refused(self, account: Account) -> bool:
        try:
            self.home(account)
        except SpawnError:
            return True
        return False

    def two_accounts(self) -> None:
        """The first account had a home and is gone, the second one waits."""
        self.home(OLD)
        self.write(HOME, "of the first")
        self.volumes.gone(OLD)
        assert self.refused(NEW)

    def listed(self) -> dict[str, State]:
        return {home.volume: home.state for home in self.everything()}

    def everything(self) -> tuple[Home, ...]:
        volumes = self.containers.volume_labels()
        return homes(owners_on(self.files), volumes, uses(self.containers, self.slots))

    def archived(self) -> list[str]:
        """What the first account's note says in each archive that has its name."""
        texts = []
        for file in sorted((self.root / "archive").glob("*.tar.gz")):
            with tarfile.open(file) as tar:
                member = tar.extractfile(f"volumes/{HOME}/note.txt")
                assert member is not None
                texts.append(member.read().decode())
        return texts

    def serve(self, user: str, volume: str | None = None) -> str:
        """A cold server that runs; without `volume` as an older agent made it."""
        labels = {LABEL_USER: user, **({LABEL_VOLUME: volume} if volume else {})}
        container = self.containers.create(_spec(labels))
        self.containers.start(container)
        return container


def _spec(labels: dict[str, str]) -> ContainerSpec:
    return ContainerSpec("c", "hubagent/julia", (), {}, labels, "hubagent", 1, 1.0, 1)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


class TestKeep:
    def test_the_present_account_gets_the_home(self, world: World) -> None:
        world.two_accounts()
        assert world.desk.keep("ada") == (f"ada has the home {HOME} from the next start on.",)
        assert world.home(NEW) == HOME
        assert world.read(HOME) == "of the first"
        assert world.refused(OLD), "it is nobody else's any more"
        world.agent()
        assert world.home(NEW) == HOME

    def test_also_after_it_was_set_aside(self, world: World) -> None:
        world.two_accounts()
        world.desk.set_aside("ada")
        assert world.home(NEW) == OWN
        world.desk.keep(HOME)
        assert world.home(NEW) == HOME
        assert world.listed() == {HOME: State.IN_USE, OWN: State.SET_ASIDE}
        world.desk.keep(OWN)
        assert world.home(NEW) == OWN, "and back"


class TestSetAside:
    def test_the_present_account_gets_a_home_of_its_own(self, world: World) -> None:
        world.two_accounts()
        world.desk.set_aside("ada")
        assert world.home(NEW) == OWN
        assert world.containers.volumes[OWN][LABEL_ACCOUNT] == NEW.id
        assert world.listed() == {HOME: State.SET_ASIDE, OWN: State.IN_USE}
        assert world.read(HOME) == "of the first"
        third = Account("ada", "c" * 32, 20_000.0)
        assert world.refused(third), "nobody gets one that is set aside"
        assert world.listed()[HOME] is State.SET_ASIDE

    def test_that_of_one_who_was_renamed_stays_theirs(self, world: World) -> None:
        world.home(OLD)
        grace = Account("grace", OLD.id, OLD.created_s)
        world.home(grace)
        assert world.refused(NEW)
        world.slots = [_slot("grace", HOME)]
        for verb in (world.desk.keep, world.desk.archive):
            with pytest.raises(UsageError, match="in use by grace, who was renamed"):
                verb(HOME)
        world.desk.set_aside("ada")
        assert world.home(NEW) == OWN
        assert world.home(grace) == HOME
        assert world.listed() == {HOME: State.IN_USE, OWN: State.IN_USE}


class TestArchive:
    def test_it_becomes_a_file_and_the_user_starts_empty(self, world: World) -> None:
        world.two_accounts()
        (said,) = world.desk.archive("ada")
        (file,) = (world.root / "archive").iterdir()
        assert str(file) in said
        assert file.stat().st_mode & 0o777 == 0o600
        assert world.archived() == ["of the first"]
        with file.open("rb") as stream:
            assert archives.verify(stream, version="0.2")[0].users == {HOME: "ada"}
        assert world.listed() == {}
        assert world.home(NEW) == HOME
        assert world.read(HOME) is None

    def test_what_was_broken_off_goes_with_the_next(self, world: World) -> None:
        world.two_accounts()
        (world.root / "archive").mkdir()
        (world.root / "archive" / ".half.tar.gz.abc").write_bytes(b"half")
        world.desk.archive("ada")
        assert [file.name[0] for file in (world.root / "archive").iterdir()] == ["j"]

    @pytest.mark.parametrize(
        "damage",
        [
            lambda content: content[:-20],
            lambda content: b"",
            lambda content: content[:200] + content[200:][::-1],
        ],
        ids=["cut", "empty", "other"],
    )
    def test_nothing_is_removed_that_cannot_be_read_again(
        self, world: World, damage: Callable[[bytes], bytes]
    ) -> None:
        world.two_accounts()
        world.archive_files.damage = damage
        with pytest.raises(BackupError):
            world.desk.archive("ada")
        assert world.read(HOME) == "of the first"
        assert world.refused(NEW)

    def test_left_behind_and_set_aside_by_the_name_in_use_by_the_volume_alone(self, world: World) -> None:
        world.home(OLD)
        with pytest.raises(UsageError, match="by its volume's name"):
            world.desk.archive("ada")
        world.volumes.gone(OLD)
        world.desk.archive("ada")
        assert world.listed() == {}
        world.home(NEW)
        world.desk.archive(HOME)
        assert world.listed() == {}

    def test_all_of_a_user(self, world: World) -> None:
        world.home(OLD)
        world.home(OLD, OTHER)
        world.write("r-ada", "r")
        world.volumes.gone(OLD)
        assert len(world.desk.archive("ada")) == 2
        assert world.listed() == {}

    def test_one_that_docker_mounts_from_elsewhere_stays(self, world: World) -> None:
        world.two_accounts()
        world.containers.elsewhere.add(HOME)
        with pytest.raises(UsageError, match="is stored elsewhere"):
            world.desk.archive("ada")
        assert world.listed() == {HOME: State.WAITING}

    def test_one_that_docker_does_not_remove_stays(self, world: World) -> None:
        world.two_accounts()
        world.containers.fail("remove_volume")
        with pytest.raises(TemporaryError):
            world.desk.archive("ada")
        assert world.listed() == {HOME: State.WAITING}


@pytest.mark.parametrize("verb", ["keep", "archive", "set_aside"])
class TestWhatIsRefused:
    def test_nobody_is_known_by_the_name(self, world: World, verb: str) -> None:
        world.two_accounts()
        for name in ("eve", "", "jupyterhub-user-eve"):
            with pytest.raises(UsageError):
                getattr(world.desk, verb)(name)

    def test_while_a_server_has_the_home(self, world: World, verb: str) -> None:
        world.two_accounts()
        container = world.serve("ada", HOME)
        with pytest.raises(BusyError, match="a server of ada runs"):
            getattr(world.desk, verb)("ada")
        world.containers.remove(container)
        world.serve("ada")
        with pytest.raises(BusyError, match="a server of ada runs"):
            getattr(world.desk, verb)("ada")
        assert world.read(HOME) == "of the first"
        assert world.listed() == {HOME: State.WAITING}

    def test_while_a_slot_has_it(self, world: World, verb: str) -> None:
        world.two_accounts()
        world.slots = [_slot("ada", HOME)]
        with pytest.raises(BusyError):
            getattr(world.desk, verb)("ada")

    def test_while_a_server_of_theirs_starts(self, world: World, verb: str) -> None:
        world.two_accounts()
        world.starts_end = False
        with pytest.raises(TemporaryError, match="is still starting"):
            getattr(world.desk, verb)("ada")
        world.starts_end = True
        getattr(world.desk, verb)("ada")

    def test_wherever_it_dies_it_can_be_done_again_and_nothing_is_lost(
        self, tmp_path: Path, verb: str
    ) -> None:
        steps, seen = 0, set()
        while True:
            world = World(tmp_path / str(steps))
            world.two_accounts()
            world.agent(Life(steps))
            try:
                getattr(world.desk, verb)("ada")
                done = True
            except Killed:
                done = False
            world.clock.advance(5.0)
            world.agent()
            kept = world.read(HOME) == "of the first" or "of the first" in world.archived()
            assert kept, f"gone after {steps} steps"
            seen.add(tuple(sorted(world.listed().values(), key=lambda one: one.value)))
            with suppress(UsageError):  # it was done already
                getattr(world.desk, verb)("ada")
            volume = world.home(NEW)
            assert volume == (OWN if verb == "set_aside" else HOME)
            assert world.read(volume) == ("of the first" if verb == "keep" else None)
            if done:
                break
            steps += 1
        assert steps > 4
        assert len(seen) > 1, "some deaths were before it, some after"


def test_one_who_asked_by_an_older_hub_has_to_ask_again(world: World) -> None:
    world.home(OLD)
    world.home(Account("grace", OLD.id, OLD.created_s))
    assert world.refused(Account("ada"))
    assert world.listed() == {HOME: State.WAITING}
    with pytest.raises(TemporaryError, match="older hub"):
        world.desk.set_aside("ada")


def test_what_is_listed(world: World) -> None:
    world.home(OLD)
    world.containers.create_volume("jupyterhub-user-eve", {LABEL_USER: "eve"})
    world.containers.create_volume("somebody's data", {})
    world.containers.create_volume("jupyterhub-user-x.replaced-1", {"hubagent.replaced": "jupyterhub-user-x"})
    world.serve("ada", HOME)
    found = {home.volume: home for home in world.everything()}
    assert set(found) == {HOME, "jupyterhub-user-eve"}
    assert found[HOME].runs
    assert (found["jupyterhub-user-eve"].state, found["jupyterhub-user-eve"].user) == (State.UNKNOWN, "eve")
    owner = found[HOME].owner
    assert owner is not None
    assert owner.how is How.MADE


def test_a_home_is_measured_or_left(tmp_path: Path) -> None:
    (tmp_path / "deep" / "er").mkdir(parents=True)
    (tmp_path / "deep" / "er" / "file").write_bytes(b"x" * 100_000)
    (tmp_path / "out").symlink_to("/usr")
    size = size_of(tmp_path, until_s=float("inf"))
    assert size is not None
    assert 100_000 <= size < 200_000
    assert size_of(tmp_path, until_s=0.0) is None
    assert size_of(tmp_path / "absent", until_s=float("inf")) is None


class TestOrders:
    def test_the_agent_carries_them_out_and_answers(self, world: World) -> None:
        world.two_accounts()
        world.files.put_folder(LAYOUT.run)
        changes: list[str] = []
        decisions = Decisions(world.files, LAYOUT)
        clerk = Clerk(world.desk, decisions, on_change=lambda: changes.append("changed"))
        clerk.poll()
        clerk.start()
        asking = Decisions(world.files, LAYOUT)
        order, wrong = Decision("1", Verb.KEEP, "ada"), Decision("2", Verb.KEEP, "eve")
        for decision in (order, wrong):
            asking.send(decision)
        world.files.write(LAYOUT.run / "homes-requests" / "3.order.json", b"{", mode=0o600)
        clerk.poll()
        wait_until(lambda: len(changes) == 2, lambda: "both answers", timeout_s=10.0)
        clerk.stop(timeout_s=10.0)
        assert asking.answered(order) == Answer(
            Outcome.DONE, (f"ada has the home {HOME} from the next start on.",)
        )
        answer = asking.answered(wrong)
        assert answer is not None
        assert answer.outcome is Outcome.USAGE
        assert asking.answered(order) is None
        assert not any(thread.name == "homes" for thread in threading.enumerate())

    @pytest.mark.parametrize(
        ("error", "outcome"),
        [
            (UsageError("no"), Outcome.USAGE),
            (BusyError("later"), Outcome.BUSY),
            (StorageError("disk"), Outcome.BUSY),
            (HubagentError("odd"), Outcome.FAILED),
            (ValueError("ours"), Outcome.FAILED),
        ],
    )
    def test_whatever_goes_wrong_is_told(self, world: World, error: Exception, outcome: Outcome) -> None:
        def fails(name: str) -> tuple[str, ...]:
            raise error

        world.desk.keep = fails  # type: ignore[method-assign]
        answer = decide(world.desk, Verb.KEEP, "ada")
        assert answer.outcome is outcome
        assert str(error) in answer.words[0]


def _slot(user: str, volume: str) -> Slot:
    return Slot("0123456789ab", "julia", "r", Phase.CLAIMED, 0.0, container="x", user=user, volume=volume)
