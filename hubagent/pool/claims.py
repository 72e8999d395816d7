"""A claim: a waiting slot becomes one user's server.

The order is what makes it safe to be killed between any two steps. The slot is written down as the user's
before anything of the user's is touched; a slot that was left in this state is removed by the next agent. The
guest is told who it is after its home is attached, and it looks for itself whether it sees that home. The hub
is answered after the claim is written down as done; a hub that has had no answer starts another server, which
takes this one's place.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from concurrent import futures
from pathlib import PurePosixPath
from typing import Final, TypeVar

from hubagent import wire
from hubagent.config.model import MountMode, Server
from hubagent.errors import ContainerError, GuestError, HomeError, HubagentError
from hubagent.layout import LABEL_SERVER
from hubagent.naming import container_name
from hubagent.pool.inputs import HomeOf, Told
from hubagent.pool.owners import Account
from hubagent.pool.ports import PoolPorts
from hubagent.pool.refusal import SpawnError
from hubagent.pool.slots import Phase, Slot, Slots
from hubagent.pool.volumes import Home
from hubagent.pool.yielding import Yielding
from hubagent.threads import NamedThread

log = logging.getLogger(__name__)

CLAIM_S: Final = 3.0
"""A claim that is not done by then is given up: a cold start takes about as long."""

PING_S: Final = 0.5
"""So long a waiting slot has to say that it is there; it does nothing else."""

QUESTION_S: Final = 0.02
"""Docker answers a question about a container within some milliseconds."""

_Result = TypeVar("_Result")


class Claims:
    """Carries out claims, many side by side."""

    def __init__(
        self,
        slots: Slots,
        ports: PoolPorts,
        home_of: HomeOf,
        *,
        yielding: Yielding,
        took: Callable[[float], None],
        limit_s: float,
        told: Told,
    ) -> None:
        """`took` is told how many seconds the agent's own part of a claim has lasted: until the guest was told;
        what the server then needs to start is not in it. `told` is what a server is told beside what the hub says."""
        self._slots = slots
        self._containers = ports.containers
        self._homes = ports.homes
        self._guests = ports.guests
        self._clock = ports.clock
        self._home_of = home_of
        self._yielding = yielding
        self._took = took
        self._told = told
        self._limit_s = limit_s

    def carry_out(
        self, server: Server, recipe: str, claim: wire.Claim, *, before: Sequence[Slot]
    ) -> wire.Started | wire.Refused:
        """Within `limit_s`. Refused with `no_slot` means that no slot was ready; after any other refusal the
        slot that was taken, if one was, is dead. `before` were this user's server, and are dead."""
        begun_s = self._clock.monotonic()
        deadline_s = begun_s + self._limit_s
        if not self._slots.has_ready(server.name, recipe):
            return _no_slot(server)
        slot: Slot | None = None
        try:
            home = self._in_time(lambda: self._home(server, claim, before), deadline_s)
            slot = self._take(server, recipe, claim, home)
            if slot is None:
                return _no_slot(server)
            taken = slot
            told_s = self._in_time(
                lambda: self._become(taken, server, home.path, claim, deadline_s), deadline_s
            )
            if self._slots.move(slot.id, Phase.CLAIMED) is None:
                raise GuestError("its container ended meanwhile, or it was given up")
        except futures.TimeoutError:
            return self._failed(slot, server, "busy", f"not done within {self._limit_s:g} s")
        except HubagentError as error:
            return self._failed(slot, server, _reason(error), str(error))
        except BaseException:
            if slot is not None:
                self._slots.move(slot.id, Phase.DEAD)
            raise
        self._took(told_s - begun_s)
        return wire.Started(slot.container, slot.name, slot.address)

    def _take(self, server: Server, recipe: str, claim: wire.Claim, home: Home) -> Slot | None:
        """A slot in which somebody listens: one that has died unnoticed is dead, and another is taken."""
        while (
            slot := self._slots.take(server.name, recipe, claim.user, claim.server_name, volume=home.volume)
        ) is not None:
            if self._is_there(slot):
                return slot
            self._failed(slot, server, "guest", "does not answer any more")
        return None

    def _is_there(self, slot: Slot) -> bool:
        try:
            pong = self._guests.ping(slot.id, timeout_s=PING_S)
        except GuestError:
            return False
        return pong is not None and pong.ready

    def _home(self, server: Server, claim: wire.Claim, before: Sequence[Slot]) -> Home:
        """Found, or made, before a slot is spent on it; this user's earlier server is gone, however it was started:
        two servers in one home would overwrite each other's files."""
        with self._yielding.user_needs_docker(patience_s=QUESTION_S):
            for slot in before:
                self._containers.remove(slot.container)
            cold = self._containers.inspect(container_name(claim.user, claim.server_name))
            if cold is not None and LABEL_SERVER in cold.labels:
                log.warning("removing a leftover container %s", cold.name)
                self._containers.remove(cold.id)
            home = self._home_of(server, Account.of(claim))
        if not home.path:
            raise HomeError("the volume is mounted only while a container has it; it cannot be attached")
        return home

    def _become(self, slot: Slot, server: Server, source: str, claim: wire.Claim, deadline_s: float) -> float:
        """The slot is the user's server when this returns; when the guest had been told so."""
        attached = self._homes.attach(slot.id, source, folders_in_home(server))
        become = wire.Become(
            environment={**server.environment, **claim.environment, **self._told.get(server.name, {})},
            command=claim.command,
            home=str(server.home),
            device=attached.device,
            inode=attached.inode,
        )
        told_s = self._clock.monotonic()
        self._guests.become(slot.id, become, timeout_s=self._left_s(slot, deadline_s))
        return told_s

    def _in_time(self, call: Callable[[], _Result], deadline_s: float) -> _Result:
        """Raises futures.TimeoutError at the deadline, however long the call may last."""
        return _in_background(call).result(timeout=max(0.0, deadline_s - self._clock.monotonic()))

    def _left_s(self, slot: Slot, deadline_s: float) -> float:
        """Seconds that are left; raises GuestError when there are none, or the claim was given up."""
        left_s = deadline_s - self._clock.monotonic()
        now = self._slots.get(slot.id)
        if left_s <= 0 or now is None or now.phase is not Phase.CLAIMING:
            raise GuestError("the claim was given up")
        return left_s

    def _failed(self, slot: Slot | None, server: Server, reason: str, message: str) -> wire.Refused:
        log.warning(
            "servers.%s: claim of %s failed: %s", server.name, slot.name if slot else "a slot", message
        )
        if slot is not None:
            self._slots.move(slot.id, Phase.DEAD)
        return wire.Refused(reason, message)


def _no_slot(server: Server) -> wire.Refused:
    return wire.Refused("no_slot", f"servers.{server.name}: no slot is ready")


def folders_in_home(server: Server) -> tuple[wire.Folder, ...]:
    """The declared mounts that lie within the home; the others are there from the container's beginning."""
    return tuple(
        wire.Folder(
            source=str(mount.source),
            target=str(mount.target.relative_to(server.home)),
            read_only=mount.mode is MountMode.READ_ONLY,
        )
        for mount in server.mounts
        if is_within(mount.target, server.home)
    )


def is_within(path: PurePosixPath, home: PurePosixPath) -> bool:
    return path != home and path.is_relative_to(home)


def _reason(error: HubagentError) -> str:
    if isinstance(error, SpawnError):
        return error.reason
    for kind, reason in ((HomeError, "home"), (GuestError, "guest"), (ContainerError, "engine")):
        if isinstance(error, kind):
            return reason
    return "engine"


def _in_background(call: Callable[[], _Result]) -> futures.Future[_Result]:
    """In a thread that nobody has to wait for, not even at the program's end."""
    future: futures.Future[_Result] = futures.Future()

    def run() -> None:
        try:
            future.set_result(call())
        except BaseException as error:  # it is raised where the result is asked for
            future.set_exception(error)

    NamedThread(run, name="claim").start()
    return future
