"""The warm pool as the rest of the agent sees it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final

from hubagent import wire
from hubagent.config.model import Server
from hubagent.pool.claims import CLAIM_S, Claims
from hubagent.pool.events import ClaimResult, PoolRecorder, SpawnKind
from hubagent.pool.inputs import PoolInputs
from hubagent.pool.keeper import Keeper
from hubagent.pool.ledger import Ledger
from hubagent.pool.ports import PoolPorts
from hubagent.pool.slots import TAKEN, WAITING, Phase, Slot, Slots
from hubagent.pool.yielding import Yielding
from hubagent.state.status import PoolStatus

NOT_THE_USERS: Final = frozenset({"home", "guest", "engine", "image"})
"""Reasons of wire.REASONS for which a claim fails and the next user's will, too."""


class Pool:
    """All methods are safe to call from any thread."""

    def __init__(
        self,
        slots: Slots,
        ports: PoolPorts,
        inputs: PoolInputs,
        *,
        yielding: Yielding,
        recorder: PoolRecorder,
        claim_within_s: float = CLAIM_S,
    ) -> None:
        """`yielding` is of these slots."""
        self._slots = slots
        self._clock = ports.clock
        self._containers = ports.containers
        self._config = inputs.config
        self._yielding = yielding
        self._recorder = recorder
        self._ledger = Ledger(ports.clock)
        self._claims = Claims(
            slots,
            ports,
            inputs.home_of,
            yielding=yielding,
            took=recorder.claim_took,
            limit_s=claim_within_s,
            told=inputs.told,
        )
        self.keeper = Keeper(slots, ports, inputs, yielding=yielding, ledger=self._ledger, recorder=recorder)

    def start(self) -> None:
        """Begin to keep the pool. What an earlier agent left is adopted by the first check."""
        self.keeper.start()

    def stop(self) -> None:
        """Keep it no longer; slots stay, for the next agent."""
        self.keeper.stop()

    def wake(self, *, asked: bool = False) -> None:
        """Something has happened: to containers, images, or the configuration. `asked`: by a person, who wants what
        failed to be tried again."""
        self.keeper.wake(asked=asked)

    def claim(self, claim: wire.Claim) -> wire.Started | wire.Refused:
        """A ready slot becomes this user's server, within claims.CLAIM_S. Refused means: start it cold."""
        begun_s = self._clock.monotonic()
        server = self._server(claim.server)
        if server is None or server.warm is None:
            return wire.Refused("no_slot", f"servers.{claim.server} has no warm slots")
        with self._yielding.server_starts():
            answer = self._claim(server, claim, begun_s)
        self.keeper.nudge()
        return answer

    def _claim(self, server: Server, claim: wire.Claim, begun_s: float) -> wire.Started | wire.Refused:
        before = self._vacated(claim.user, claim.server_name)
        wanted = self.keeper.recipe(server)
        answer = self._claims.carry_out(server, wanted or "", claim, before=before)
        if isinstance(answer, wire.Started):
            self._ledger.claimed(server.name)
            self._recorder.claim(server.name, ClaimResult.HIT)
            self._recorder.spawned(SpawnKind.WARM, self._clock.monotonic() - begun_s)
        else:
            missed = answer.reason == "no_slot"
            if answer.reason in NOT_THE_USERS:
                self._ledger.claim_failed(server.name, answer.message)
            self._recorder.claim(server.name, ClaimResult.MISS if missed else ClaimResult.FAIL)
        return answer

    @contextmanager
    def cold_start(self, user: str, server_name: str) -> Iterator[None]:
        """While a server is started cold. A slot that is this user's server, or failed to become it, is removed
        first: the hub does not know of it (any more), and two servers in one home would overwrite each other's
        files. Raises ContainerError when that cannot be done."""
        begun_s = self._clock.monotonic()
        with self._yielding.server_starts(), self._yielding.user_needs_docker():
            for slot in self._vacated(user, server_name):
                self._containers.remove(slot.container)
            yield
        self._recorder.spawned(SpawnKind.COLD, self._clock.monotonic() - begun_s)

    def _vacated(self, user: str, server_name: str) -> tuple[Slot, ...]:
        """The slots that were, or were becoming, this user's server, all dead now, but not yet removed."""
        slots = self._slots.of_user(user, server_name)
        for slot in slots:
            self._slots.move(slot.id, Phase.DEAD)
        return slots

    def gone(self, container: str) -> None:
        """This container (name or id) has been removed for good, or is to be: let go of what belongs to it."""
        slot = self._slots.of_container(container)
        if slot is not None:
            self._slots.move(slot.id, Phase.DEAD)
            self.keeper.nudge()

    def slots(self) -> tuple[Slot, ...]:
        """All there are."""
        return self._slots.all()

    def users(self) -> Mapping[str, str]:
        """Whose server a slot's container is, by the container's id. Slots that nobody has are not in it."""
        return {slot.container: slot.user for slot in self._slots.all() if slot.phase in TAKEN}

    def status(self) -> tuple[PoolStatus, ...]:
        """Of every server that has `warm`, or still has slots."""
        config = self._config()
        slots = self._slots.all()
        declared: dict[str, int] = dict.fromkeys(sorted({slot.server for slot in slots}), 0)
        for server in config.servers if config else ():
            if server.warm is not None:
                declared[server.name] = min(server.warm.ready, server.warm.max)
        return tuple(
            self._status(server, ready, [slot for slot in slots if slot.server == server])
            for server, ready in declared.items()
        )

    def _status(self, server: str, ready: int, slots: Sequence[Slot]) -> PoolStatus:
        counts = Counter(slot.phase for slot in slots)
        desired = self._ledger.desired(server)
        last_failure, until_s = self._ledger.trouble(server)
        spares = self._ledger.spares(slot.id for slot in slots if slot.phase is Phase.CLAIMED)
        claims_fail, since_s = self._ledger.claims(server)
        return PoolStatus(
            server,
            ready if desired is None else desired,
            creating=counts[Phase.CREATING],
            warming=counts[Phase.WARMING],
            ready=counts[Phase.READY],
            claiming=counts[Phase.CLAIMING],
            claimed=counts[Phase.CLAIMED],
            dead=counts[Phase.DEAD],
            memory_bytes=self._ledger.bytes_of(slot.id for slot in slots if slot.phase in WAITING),
            last_failure=self.keeper.complaint or last_failure,
            backing_off_until_s=until_s,
            spare_kernels=spares.kernels,
            spare_plutos=spares.plutos,
            spare_bytes=spares.memory_bytes,
            claims_fail=claims_fail,
            claims_fail_since_s=since_s,
            lacks=self._ledger.lacks(server) if counts[Phase.READY] else None,
        )

    def _server(self, name: str) -> Server | None:
        config = self._config()
        return next((server for server in config.servers if server.name == name), None) if config else None
