"""Making a slot: folders, container, a guest that warms up."""

from __future__ import annotations

import dataclasses
import logging
import secrets
from dataclasses import dataclass
from typing import Final

from hubagent import wire
from hubagent.config.model import Server, Warm
from hubagent.errors import GuestError, HubagentError
from hubagent.pool.events import SlotFailure
from hubagent.pool.inputs import PoolInputs
from hubagent.pool.ports import ImageFacts, PoolPorts
from hubagent.pool.slots import Phase, Slot, Slots
from hubagent.pool.spec import CPU_SHARES
from hubagent.pool.warming import NotReadyError, Warming
from hubagent.pool.yielding import Yielding

log = logging.getLogger(__name__)

PING_S: Final = 2.0

_JULIA: Final = "julia"


@dataclass(frozen=True, slots=True)
class Ready:
    slot: Slot
    lacks: str  # what did not become warm in it, in words; empty when all did


class Maker:
    """Used by the keeper's thread alone."""

    def __init__(
        self, slots: Slots, ports: PoolPorts, inputs: PoolInputs, *, yielding: Yielding, warming: Warming
    ) -> None:
        self._slots = slots
        self._containers = ports.containers
        self._homes = ports.homes
        self._guests = ports.guests
        self._clock = ports.clock
        self._inputs = inputs
        self._yielding = yielding
        self._warming = warming

    def begin(self, server: Server, image: ImageFacts, recipe: str) -> Slot:
        """A new slot whose container has been started. Raises HubagentError; what was made is dead then."""
        guest = secrets.token_hex(6)
        proof = self._inputs.proof(image.id)
        folder = self._guests.prepare(guest, _settings(server, proof))
        created_s = self._clock.time()
        slot = Slot(guest, server.name, recipe, Phase.CREATING, created_s, proven=proof is not None)
        self._slots.add(slot)
        try:
            spec = self._inputs.spec(
                server,
                image,
                guest=guest,
                recipe=recipe,
                guest_folder=folder,
                home_folder=self._homes.prepare(guest),
            )
            with self._yielding.slot_in_the_making():
                # By its id: a name may come to mean another image in this moment, and the recipe says which it is.
                container = self._containers.create(dataclasses.replace(spec, image=image.id))
                self._containers.start(container)
            warming = self._slots.move(guest, Phase.WARMING, container=container)
        except HubagentError:
            self._slots.move(guest, Phase.DEAD)
            raise
        assert warming is not None  # nobody else knows of it yet
        return warming

    def poll(self, slot: Slot) -> Ready | None:
        """The warming slot once it is ready, None while it is not. Raises HubagentError when it never will be;
        it is dead then."""
        if self._yielding.stands_still(slot):
            self._warming.stands_still(slot)
            return None
        try:
            pong, silence = self._ping(slot)
            if pong is None or not pong.ready:
                self._warming.check(
                    slot, f"({silence})" if pong is None else f"in {pong.detail or 'warming up'}"
                )
                return None
            facts = self._containers.inspect(slot.container)
            if facts is None or not facts.running or not facts.address:
                raise self.ended(slot)
            self._containers.weigh(slot.container, cpu_shares=CPU_SHARES)
            if pong.detail:
                log.info("slot %s of %s: %s", slot.id, slot.server, pong.detail)
            self._yielding.release(slot)
            ready = self._slots.move(slot.id, Phase.READY, address=facts.address, ready_s=self._clock.time())
            return None if ready is None else Ready(ready, pong.detail)
        except HubagentError:
            self._slots.move(slot.id, Phase.DEAD)
            raise

    def ended(self, slot: Slot) -> NotReadyError:
        """Why its container does not run, as far as Docker can say."""
        try:
            facts = self._containers.inspect(slot.container or slot.name)
            if facts is None:
                return NotReadyError(SlotFailure.ENDED, "its container was removed")
            if facts.out_of_memory:
                return NotReadyError(SlotFailure.MEMORY, "it ran out of memory")
            last = self._containers.output(facts.id, lines=1).strip()
        except HubagentError as error:
            return NotReadyError(SlotFailure.ENDED, f"its container ended: {error}")
        ending = f"its container ended with exit status {facts.exit_code}"
        return NotReadyError(SlotFailure.ENDED, f"{ending}: {last[:200]}" if last else ending)

    def _ping(self, slot: Slot) -> tuple[wire.Pong | None, str]:
        """What it answered, or why not. A guest that has little of a busy processor may be slow to answer."""
        try:
            return (
                self._guests.ping(slot.id, timeout_s=PING_S),
                "its launcher does not listen; does the image's entry point run its command?",
            )
        except GuestError as error:
            return None, str(error)


def _settings(server: Server, proof: wire.Proof | None) -> wire.GuestSettings:
    warm = server.warm
    assert warm is not None
    return wire.GuestSettings(
        mode="warm",
        modules=proof.modules if proof else (),
        kernels=wanted_kernels(warm, proof),
        pluto=warm.pluto and (proof is None or bool(proof.pluto)),
        home=str(server.home),
        declared=tuple(sorted(server.environment)),
    )


def wanted_kernels(warm: Warm, proof: wire.Proof | None) -> dict[str, int]:
    """Those that wait in each slot. Where the file names none, what is slow to start: Julia."""
    if warm.kernels is not None:
        return dict(warm.kernels)
    languages = {language.lower() for language in proof.kernels.values()} if proof else set()
    return {_JULIA: 1} if _JULIA in languages else {}
