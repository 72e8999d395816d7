"""A machine in memory with a warm pool on it."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from hubagent import wire
from hubagent.config.kinds.types import ServerName
from hubagent.config.model import Config, Server, Warm
from hubagent.errors import GuestError, HomeError
from hubagent.layout import LABEL_GUEST, LABEL_SERVER, LABEL_SLOT
from hubagent.naming import volume_name
from hubagent.pool.claims import CLAIM_S
from hubagent.pool.events import ClaimResult, Eviction, SlotFailure, SpawnKind
from hubagent.pool.inputs import PoolInputs
from hubagent.pool.owners import Account
from hubagent.pool.policy import Memory
from hubagent.pool.pool import Pool
from hubagent.pool.ports import Bind, ContainerSpec, ImageFacts, PoolPorts
from hubagent.pool.refusal import SpawnError
from hubagent.pool.slots import Phase, Slot, Slots
from hubagent.pool.volumes import FOREIGN, Home
from hubagent.pool.yielding import Yielding
from tests.fakes.clock import ManualClock
from tests.fakes.containers_pool import FakeContainers
from tests.fakes.files import MemoryFileStore
from tests.fakes.guests import FakeGuests
from tests.fakes.homes_pool import HOMES, FakeHomes
from tests.unit.pool.mortal import Life, Mortal

GUESTS = Path("/run/hubagent/guests")
GIB = 1024**3
_Result = TypeVar("_Result")


class GuestsWithFolders(FakeGuests):
    """FakeGuests whose folders are in the file store, where state files go."""

    def __init__(self, files: MemoryFileStore) -> None:
        super().__init__()
        self.fail_ping = False
        self.pinged: list[str] = []
        self._files = files

    def prepare(self, guest: str, settings: wire.GuestSettings) -> str:
        self._files.make_dir(GUESTS / guest, mode=0o700)
        return super().prepare(guest, settings)

    def ping(self, guest: str, *, timeout_s: float) -> wire.Pong | None:
        self.pinged.append(guest)
        if self.fail_ping:
            raise GuestError(f"the launcher of {guest} did not answer within {timeout_s:.1f} s")
        return super().ping(guest, timeout_s=timeout_s)

    def forget(self, guest: str) -> None:
        super().forget(guest)
        self._files.remove(GUESTS / guest)

    def known(self) -> tuple[str, ...]:
        return self._files.list_dir(GUESTS)


class Counts:
    """`PoolRecorder`."""

    def __init__(self) -> None:
        self.claims: Counter[tuple[str, ClaimResult]] = Counter()
        self.claim_s: list[float] = []
        self.spawns: Counter[SpawnKind] = Counter()
        self.refills_s: list[float] = []
        self.evictions: Counter[Eviction] = Counter()
        self.failures: Counter[SlotFailure] = Counter()
        self._lock = threading.Lock()

    def claim(self, server: str, result: ClaimResult) -> None:
        with self._lock:
            self.claims[server, result] += 1

    def claim_took(self, duration_s: float) -> None:
        with self._lock:
            self.claim_s.append(duration_s)

    def spawned(self, kind: SpawnKind, duration_s: float) -> None:
        with self._lock:
            self.spawns[kind] += 1

    def refilled(self, duration_s: float) -> None:
        self.refills_s.append(duration_s)

    def evicted(self, reason: Eviction) -> None:
        self.evictions[reason] += 1

    def slot_failed(self, server: str, failure: SlotFailure) -> None:
        self.failures[failure] += 1


class World:
    """`pool` is an agent's pool, whose thread does not run: `look` is one look of its keeper. `restart` is the
    next agent on the same machine."""

    def __init__(
        self, warm: Warm | None = None, *, clock: ManualClock | None = None, **server: object
    ) -> None:
        self.clock = clock or ManualClock()
        self.files = MemoryFileStore()
        self.files.put_folder(GUESTS)
        self.containers = FakeContainers(now=self.clock.time)
        self.guests = GuestsWithFolders(self.files)
        self.homes = FakeHomes(deadline_s=60)
        self.memory = Memory(total=64 * GIB, available=48 * GIB)
        self.config: Config | None = Config(servers=())
        self.configure(warm or Warm(ready=2), **server)
        self.counts = Counts()
        self.proofs: dict[str, wire.Proof] = {}
        self.program = "1"
        self.claim_within_s = CLAIM_S
        self.no_home_for: set[str] = set()
        self.foreign_for: set[str] = set()
        self.only_docker_mounts: set[str] = set()
        self.pool = self.restart()

    def configure(self, warm: Warm | None, **server: object) -> None:
        fields = {"name": ServerName("julia"), "title": "Julia", "warm": warm, **server}
        self.config = Config(servers=(Server(**fields),))  # type: ignore[arg-type]

    def restart(self, life: Life | None = None) -> Pool:
        """The next agent, which lives as long as it is given."""
        lasting = life or Life()
        ports = PoolPorts(
            containers=Mortal(self.containers, lasting),
            homes=Mortal(self.homes, lasting),
            guests=Mortal(self.guests, lasting),
            clock=self.clock,
        )
        self.slots = Slots(Mortal(self.files, lasting), GUESTS)
        self.pool = Pool(
            self.slots,
            ports,
            PoolInputs(
                config=lambda: self.config,
                spec=spec,
                home_of=self.home_of,
                proof=self.proofs.get,
                memory=lambda: self.memory,
                program=self.program,
            ),
            yielding=Yielding(self.slots, ports.homes, self.clock),
            recorder=self.counts,
            claim_within_s=self.claim_within_s,
        )
        return self.pool

    def home_of(self, server: Server, account: Account) -> Home:
        user = account.user
        if user in self.foreign_for:
            raise SpawnError("foreign_home", FOREIGN)
        if user in self.no_home_for:
            raise HomeError(f"{user} has no home")
        volume = volume_name(server.volume, user)
        return Home(volume, "" if user in self.only_docker_mounts else f"{HOMES}/{volume}/_data")

    def step(self, times: int = 1) -> float:
        """Looks of the keeper, so far apart as it asks for; seconds until the next."""
        delay_s = 0.0
        for _ in range(times):
            self.clock.advance(delay_s)
            delay_s = self.pool.keeper.step()
        return delay_s

    def settle(self, *, at_most: int = 300) -> None:
        """Look until there is nothing more to do: several looks change nothing, with no slot under way."""
        quiet = 0
        for _ in range(at_most):
            before = self.slots.all()
            self.clock.advance(self.step())
            under_way = {Phase.CREATING, Phase.WARMING, Phase.DEAD}
            still = self.slots.all() == before and not any(slot.phase in under_way for slot in before)
            quiet = quiet + 1 if still else 0
            if quiet == 4:
                return
        raise AssertionError(f"still at work: {self.slots.all()}")

    def pass_time(self, seconds: float) -> None:
        """With as many looks as are due meanwhile."""
        end_s = self.clock.monotonic() + seconds
        while self.clock.monotonic() < end_s:
            self.clock.advance(min(self.step(), end_s - self.clock.monotonic()))

    def phases(self) -> Counter[Phase]:
        return Counter(slot.phase for slot in self.slots.all())

    def ready(self) -> list[Slot]:
        return [slot for slot in self.slots.all() if slot.phase is Phase.READY]

    def claim(self, user: str = "ada", server_name: str = "") -> wire.Started | wire.Refused:
        return self.pool.claim(claim(user, server_name))

    def leftovers(self) -> dict[str, object]:
        """What there is on the machine of slots that are nobody's and not ready: nothing, when all is well."""
        fine = {slot.id for slot in self.slots.all() if slot.phase in (Phase.READY, Phase.CLAIMED)}
        found = {
            "containers": {one.spec.labels[LABEL_GUEST] for one in self.containers.containers.values()}
            - fine,
            "homes": set(self.homes.slots()) - fine,
            "attached": set(self.homes.attached)
            - {slot.id for slot in self.slots.all() if slot.phase is Phase.CLAIMED},
            "folders": set(self.guests.known()) - fine,
        }
        return {what: names for what, names in found.items() if names}


def claim(user: str = "ada", server_name: str = "") -> wire.Claim:
    return wire.Claim(
        user=user,
        server_name=server_name,
        server="julia",
        environment={"JUPYTERHUB_API_TOKEN": f"token-of-{user}"},
        command=("jupyterhub-singleuser",),
    )


def spec(
    server: Server, image: ImageFacts, *, guest: str, recipe: str, guest_folder: str, home_folder: str
) -> ContainerSpec:
    return ContainerSpec(
        name=f"hubagent-slot-{guest}",
        image=image.id,
        command=("/bin/sh", "/opt/hubagent/start"),
        environment={},
        labels={LABEL_GUEST: guest, LABEL_SERVER: server.name, LABEL_SLOT: recipe},
        network="hubagent",
        memory_bytes=server.memory_bytes,
        cpus=server.cpus,
        processes=server.processes,
        cpu_shares=128,
        binds=(
            Bind(guest_folder, wire.GUEST_FOLDER, read_only=False),
            Bind(home_folder, str(server.home), read_only=False, propagation="rslave"),
        ),
    )


def together(count: int, call: Callable[[int], _Result]) -> list[_Result]:
    """`call(0)` to `call(count - 1)`, in threads that begin at the same moment."""
    results: list[_Result | None] = [None] * count
    gate = threading.Barrier(count)

    def run(number: int) -> None:
        gate.wait(timeout=30)
        results[number] = call(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    assert all(result is not None for result in results)
    return [result for result in results if result is not None]


def together_with(call: Callable[[], object]) -> threading.Thread:
    """`call`, in a thread of its own."""
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread
