"""Keeps the pool as it should be: one thread that checks, compares, and takes the next small steps.

Level-triggered: what woke it does not matter, the next step finds what there is to do. Whatever fails is found
again by a later step. While Docker does not answer nothing is decided, and the first thing afterwards is to
check everything again.
"""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from typing import Final

from hubagent.config.model import Server
from hubagent.errors import HubagentError
from hubagent.pool import policy
from hubagent.pool.cleanup import Cleanup
from hubagent.pool.events import Eviction, PoolRecorder, SlotFailure
from hubagent.pool.health import Health
from hubagent.pool.home_check import HomeCheck
from hubagent.pool.inputs import PoolInputs
from hubagent.pool.ledger import Ledger
from hubagent.pool.maker import Maker
from hubagent.pool.ports import ImageFacts, PoolPorts
from hubagent.pool.recipe import recipe
from hubagent.pool.slots import Phase, Slot, Slots
from hubagent.pool.warming import NotReadyError, Warming
from hubagent.pool.yielding import Yielding
from hubagent.threads import NamedThread

log = logging.getLogger(__name__)

IDLE_S: Final = 5.0
"""How often to step when nothing happens: the clock brings lectures, others take memory."""

WARMING_S: Final = 0.2
"""How often to ask a slot that warms up."""

TRUTH_S: Final = 15.0
"""How often to compare with Docker unasked; every hint may be lost."""

TRUTH_AT_MOST_EVERY_S: Final = 1.0
"""Docker's events come in bursts."""

LASTED_S: Final = 60.0
"""A slot that was ready for longer did not end for what it was made from."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A slot that was not made, or did not last."""

    recipe: str
    why: str
    cost_s: float = 0.0  # of the try


class Keeper:
    """`start` it, `wake` it for whatever has happened, `stop` it. Slots outlive it."""

    def __init__(
        self,
        slots: Slots,
        ports: PoolPorts,
        inputs: PoolInputs,
        *,
        yielding: Yielding,
        ledger: Ledger,
        recorder: PoolRecorder,
    ) -> None:
        self._slots = slots
        self._containers = ports.containers
        self._clock = ports.clock
        self._inputs = inputs
        self._yielding = yielding
        self._ledger = ledger
        self._recorder = recorder
        self._warming = Warming(ports)
        self._maker = Maker(slots, ports, inputs, yielding=yielding, warming=self._warming)
        self._cleanup = Cleanup(slots, ports)
        self._home_check = HomeCheck(ports)
        self._health = Health(ports, ledger)
        self._images: dict[str, ImageFacts | None] = {}  # by name, as of the last question to Docker
        self._image_ids: dict[str, str] = {}  # by name: the last that was there
        self._recipes: dict[str, tuple[Server, str, str]] = {}  # by name: of which server and image's id
        self._truth_s = float("-inf")
        self._asked = True
        self._troubles: dict[str, Trouble] = {}  # by server, of this step
        self._complaint = ""
        self._woken = threading.Event()
        self._stopping = False
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = NamedThread(self._run, name="pool")
        self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """Returns when the thread has ended, or after `timeout_s`: a call to Docker may last longer."""
        self._stopping = True
        self._woken.set()
        if self._thread is not None:
            self._thread.join(timeout_s)

    def wake(self, *, asked: bool = False) -> None:
        """Check again, also at what Docker says. `asked`: by a person, who wants what failed to be tried again."""
        if asked:
            self._ledger.try_again()
            self._home_check.invalidate()
        self._asked = True
        self._woken.set()

    def nudge(self) -> None:
        """Check the slots again; Docker has nothing new to say."""
        self._woken.set()

    @property
    def complaint(self) -> str:
        """What keeps the keeper from working: Docker or the homes helper does not answer. Empty when nothing
        does."""
        return self._complaint

    def recipe(self, server: Server) -> str | None:
        """What a slot of this server has to be made from to be offered; None when that is not known (yet)."""
        image_id = self._image_ids.get(server.image)
        if server.warm is None or image_id is None:
            return None
        known = self._recipes.get(server.name)
        if known is None or known[:2] != (server, image_id):
            found = recipe(server, image_id, program=self._inputs.program)
            known = self._recipes[server.name] = (server, image_id, found)
        return known[2]

    def step(self) -> float:
        """One check with the steps that follow from it; seconds until the next is due."""
        self._woken.clear()
        try:
            return self._reconcile()
        except HubagentError as error:
            if str(error) != self._complaint:
                log.warning("the pool is waiting: %s", error)
            self._complaint = str(error)
            self._home_check.invalidate()
            self._asked = True
            return IDLE_S

    def _run(self) -> None:
        while not self._stopping:
            try:
                delay_s = self.step()
            except Exception:
                log.exception("the pool's check failed")
                delay_s = IDLE_S
            self._woken.wait(delay_s)

    def _reconcile(self) -> float:
        config = self._inputs.config()
        if config is None:
            return IDLE_S
        servers: dict[str, Server] = {one.name: one for one in config.servers if one.warm is not None}
        self._see_truth(servers)
        paused, busy = self._yielding.pause(), self._yielding.busy()
        for slot in self._of_phase(Phase.WARMING):
            self._see_warming(slot)
        if not busy:  # a guest is slow to answer then, and for no fault of its own
            for slot in self._of_phase(Phase.READY):
                self._see_ready(slot)
        self._back_off()
        self._follow_plan(servers, paused=paused, busy=busy)
        cleared = self._cleanup.remove_dead()
        if not busy:
            self._ledger.homes_fail(self._home_check.check(tuple(servers.values())))
        self._ledger.keep({slot.id for slot in self._slots.all()})
        self._complaint = ""
        if self._of_phase(Phase.WARMING):
            return WARMING_S
        if paused:
            return policy.PAUSE_AFTER_START_S
        return IDLE_S if cleared and not self._asked else TRUTH_AT_MOST_EVERY_S

    def _see_truth(self, servers: dict[str, Server]) -> None:
        now_s = self._clock.monotonic()
        age_s = now_s - self._truth_s
        if age_s < (TRUTH_AT_MOST_EVERY_S if self._asked else TRUTH_S):
            return
        self._asked = False
        for slot in self._cleanup.collect():
            self._lost(slot, self._maker.ended(slot))
        for slot in self._of_phase(Phase.CLAIMED):
            self._health.see_spares(slot)
        self._images = {name: self._containers.image(name) for name in {s.image for s in servers.values()}}
        self._image_ids |= {name: facts.id for name, facts in self._images.items() if facts is not None}
        self._truth_s = now_s

    def _see_warming(self, slot: Slot) -> None:
        try:
            ready = self._maker.poll(slot)
        except HubagentError as error:
            self._lost(slot, error)
            return
        if ready is not None:
            duration_s = ready.slot.ready_s - ready.slot.created_s
            self._ledger.made(slot.server, duration_s, lacks=ready.lacks)
            self._recorder.refilled(duration_s)
            self._health.is_ready(ready.slot)
            self._warming.forget(slot)

    def _see_ready(self, slot: Slot) -> None:
        why = self._health.check(slot)
        if why and self._slots.retire(slot.id) is not None:
            self._lost(slot, NotReadyError(SlotFailure.HEALTH, why))

    def _follow_plan(self, servers: dict[str, Server], *, paused: bool, busy: bool) -> None:
        now = policy.Now(
            now_s=self._clock.time(),
            demands=tuple(self._demand(server) for server in servers.values()),
            slots=self._slots.all(),
            memory=self._inputs.memory(),
            paused=paused,
        )
        plan = policy.plan(now)
        for slot_id, reason in plan.retire:
            slot = self._slots.retire(slot_id)
            if slot is not None:
                log.info("removing slot %s of %s: %s", slot.id, slot.server, reason.value)
                self._recorder.evicted(reason)
                self._forget(slot)
        self._ledger.wants(plan.desired)
        for name in plan.make:
            self._make(servers[name], in_spite=busy)

    def _demand(self, server: Server) -> policy.Demand:
        assert server.warm is not None
        known = self.recipe(server)
        image = self._images.get(server.image)
        return policy.Demand(
            server=server.name,
            warm=server.warm,
            recipe=known,
            proven=image is not None and self._inputs.proof(image.id) is not None,
            can_make=image is not None
            and known is not None
            and not self._ledger.backs_off(server.name, known),
            refill_s=self._ledger.refill_s(server.name),
            slot_bytes=self._ledger.slot_bytes(server.name),
        )

    def _make(self, server: Server, *, in_spite: bool) -> None:
        """`in_spite` of users' starts, which never stop: the slot has waited for long enough."""
        image, wanted = self._images.get(server.image), self.recipe(server)
        if image is None or wanted is None:
            return
        try:
            slot = self._maker.begin(server, image, wanted)
            self._yielding.begun(slot, in_spite=in_spite)
        except HubagentError as error:
            self._recorder.slot_failed(server.name, SlotFailure.CREATE)
            self._troubles[server.name] = Trouble(wanted, str(error))
            self._back_off()

    def _lost(self, slot: Slot, why: HubagentError) -> None:
        """A slot that was nobody's is dead, and nobody wanted that."""
        failure = why.failure if isinstance(why, NotReadyError) else SlotFailure.CREATE
        cost_s = self._warming.cost_s(slot)
        self._recorder.evicted(Eviction.HEALTH)
        self._recorder.slot_failed(slot.server, failure)
        self._forget(slot)
        log.warning("slot %s of %s: %s", slot.id, slot.server, why)
        if not slot.ready_s or self._clock.time() - slot.ready_s <= LASTED_S:
            self._troubles[slot.server] = Trouble(slot.recipe, str(why), cost_s)

    def _back_off(self) -> None:
        """Once for each step, however many slots were lost: one restart of Docker is one failure."""
        for server, trouble in self._troubles.items():
            delay_s = self._ledger.failed(server, trouble.recipe, trouble.why, cost_s=trouble.cost_s)
            log.warning("servers.%s: %s; next try in %.0f s", server, trouble.why, delay_s)
        self._troubles.clear()

    def _forget(self, slot: Slot) -> None:
        self._health.forget(slot)
        self._warming.forget(slot)
        self._yielding.release(slot)  # so that it can be killed

    def _of_phase(self, phase: Phase) -> tuple[Slot, ...]:
        return tuple(slot for slot in self._slots.all() if slot.phase is phase)
