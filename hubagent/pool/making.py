"""Making a slot: folders, container, a guest that warms up."""

from __future__ import annotations

import dataclasses
import logging
import secrets
from collections.abc import Callable
from typing import Final, Protocol

from hubagent import wire
from hubagent.config.model import Server
from hubagent.errors import GuestError, HubagentError
from hubagent.pool.freezing import Freezing
from hubagent.pool.ports import Containers, ContainerSpec, Guests, Homes, ImageFacts
from hubagent.pool.precedence import Precedence
from hubagent.pool.slots import Phase, Slot, Slots
from hubagent.pool.spec import CPU_SHARES
from hubagent.ports import Clock

log = logging.getLogger(__name__)

WARM_WITHIN_S: Final = 300.0
"""A guest that is not ready by then never will be: Julia that compiles takes a minute, and much longer with the
little weight that a waiting slot has on a busy machine."""

PING_S: Final = 2.0

Prove = Callable[[str], wire.Proof | None]
"""What is known of an image, by its id; None while it is not proven."""


class SlotSpec(Protocol):
    """What the container of a slot is made from. `guest_folder` and `home_folder` are on the host."""

    def __call__(
        self,
        server: Server,
        image: ImageFacts,
        *,
        guest: str,
        recipe: str,
        guest_folder: str,
        home_folder: str,
    ) -> ContainerSpec: ...


class Maker:
    """Used by the keeper's thread alone."""

    def __init__(
        self,
        slots: Slots,
        *,
        containers: Containers,
        homes: Homes,
        guests: Guests,
        clock: Clock,
        spec: SlotSpec,
        proof: Prove,
        precedence: Precedence,
        freezing: Freezing,
    ) -> None:
        self._slots = slots
        self._containers = containers
        self._homes = homes
        self._guests = guests
        self._clock = clock
        self._spec = spec
        self._proof = proof
        self._precedence = precedence
        self._freezing = freezing

    def begin(self, server: Server, image: ImageFacts, recipe: str) -> Slot:
        """A new slot whose container has been started. Raises HubagentError; what was made is dead then."""
        guest = secrets.token_hex(6)
        proof = self._proof(image.id)
        folder = self._guests.prepare(guest, _settings(server, proof))
        created_s = self._clock.time()
        slot = Slot(guest, server.name, recipe, Phase.CREATING, created_s, proven=proof is not None)
        self._slots.add(slot)
        try:
            spec = self._spec(
                server,
                image,
                guest=guest,
                recipe=recipe,
                guest_folder=folder,
                home_folder=self._homes.prepare(guest),
            )
            with self._precedence.of_others():
                # By its id: a name may come to mean another image in this moment, and the recipe says which it is.
                container = self._containers.create(dataclasses.replace(spec, image=image.id))
                self._containers.start(container)
            warming = self._slots.move(guest, Phase.WARMING, container=container)
        except HubagentError:
            self._slots.move(guest, Phase.DEAD)
            raise
        assert warming is not None  # nobody else knows of it yet
        return warming

    def look(self, slot: Slot) -> Slot | None:
        """The warming slot once it is ready, None while it is not. Raises HubagentError when it never will be;
        it is dead then."""
        if self._freezing.stands_still(slot):
            return None
        try:
            pong, silence = self._ping(slot)
            if pong is None or not pong.ready:
                self._check_time(slot, silence if pong is None else pong.detail)
                return None
            facts = self._containers.inspect(slot.container)
            if facts is None or not facts.running or not facts.address:
                raise GuestError(f"slot {slot.id}: its container ended while it warmed up")
            self._containers.weigh(slot.container, cpu_shares=CPU_SHARES)
            if pong.detail:
                log.info("slot %s of %s: %s", slot.id, slot.server, pong.detail)
            self._freezing.release(slot)
            return self._slots.move(slot.id, Phase.READY, address=facts.address, ready_s=self._clock.time())
        except HubagentError:
            self._slots.move(slot.id, Phase.DEAD)
            raise

    def _ping(self, slot: Slot) -> tuple[wire.Pong | None, str]:
        """What it answered, or why not. A guest that has little of a busy processor may be slow to answer."""
        try:
            return self._guests.ping(slot.id, timeout_s=PING_S), "nobody answers in it"
        except GuestError as error:
            return None, str(error)

    def _check_time(self, slot: Slot, detail: str) -> None:
        if self._clock.time() - slot.created_s > WARM_WITHIN_S:
            raise GuestError(f"not ready within {WARM_WITHIN_S:.0f} s: {detail}")


def _settings(server: Server, proof: wire.Proof | None) -> wire.GuestSettings:
    warm = server.warm
    assert warm is not None
    return wire.GuestSettings(
        mode="warm",
        modules=proof.modules if proof else (),
        kernels=dict(warm.kernels),
        pluto=warm.pluto and (proof is None or bool(proof.pluto)),
        home=str(server.home),
        declared=tuple(sorted(server.environment)),
    )
