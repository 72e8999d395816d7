"""The end of slots: of those that are dead, and of whatever else is left of containers of ours.

The order is fixed: first the container, which could keep a home in use, then the home, then the guest's folder
with the state file, which is what tells a successor that something is left. Each step is repeated until it
succeeds. Nothing is removed for being unknown before it has been unknown for a while: others make containers,
too, and begin with the folder.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Final

from hubagent.errors import HubagentError
from hubagent.layout import LABEL_GUEST, LABEL_SERVER, LABEL_SLOT, LABEL_USER
from hubagent.pool.ports import ContainerFacts, PoolPorts
from hubagent.pool.slots import Phase, Slot, Slots

log = logging.getLogger(__name__)

EXIT_STATUS_S: Final = 90.0
"""So long a claimed slot's ended container stays: the hub asks every 30 s why it ended."""

UNKNOWN_S: Final = 180.0
"""So long a guest's folder may have no container: it is made before it, and read after it."""

ABANDONED_S: Final = 90.0
"""So long a cold start's ended container stays, as one of Docker's does that is about to start: the hub removes what it
knows of. It forgets a server that it is starting or stopping when it is restarted."""


class Cleanup:
    """Used by the keeper's thread alone."""

    def __init__(self, slots: Slots, ports: PoolPorts) -> None:
        self._slots = slots
        self._containers = ports.containers
        self._homes = ports.homes
        self._guests = ports.guests
        self._clock = ports.clock
        self._ended_s: dict[str, float] = {}  # claimed slots by id: since when the container does not run
        self._stuck: set[str] = set()  # told of once
        self._unknown_s: dict[str, float] = {}  # guests' folders by id: since when without a container
        self._abandoned_s: dict[str, float] = {}  # cold starts' guests by id: since when it does not run

    def collect(self) -> tuple[Slot, ...]:
        """Compare slots, containers and folders, adopting what an earlier agent left. The slots that turned out
        dead just now, though they were nobody's. Raises HubagentError when Docker or the helper does not
        answer; then nothing was decided."""
        folders = self._guests.known()
        homes = self._homes.slots()
        found = {facts.labels[LABEL_GUEST]: facts for facts in self._containers.list(label=LABEL_GUEST)}
        self._adopt(found, folders)
        died = tuple(self._died(found))
        for home in homes:
            if self._slots.get(home) is None and home not in found:
                self._let_go(self._homes.detach, home)
        self._forget_unknown(found, folders)
        self._remove_abandoned(found)
        return died

    def remove_dead(self) -> bool:
        """Remove what is left of dead slots; False when some of it has to be tried again."""
        done = True
        for slot in self._slots.all():
            if slot.phase is Phase.DEAD and not self._remove(slot):
                done = False
        return done

    def _remove(self, slot: Slot) -> bool:
        try:
            self._containers.remove(slot.container or slot.name)
            self._homes.detach(slot.id)
            self._guests.forget(slot.id)
        except HubagentError as error:
            log.warning("slot %s cannot be removed yet: %s", slot.id, error)
            return False
        self._slots.drop(slot.id)
        self._ended_s.pop(slot.id, None)
        return True

    def _adopt(self, found: Mapping[str, ContainerFacts], folders: Iterable[str]) -> None:
        for guest, facts in found.items():
            is_new = LABEL_SLOT in facts.labels and self._slots.get(guest) is None
            if is_new and self._slots.adopt(guest) is None:
                self._adopt_unknown(guest, facts)
        for guest in folders:
            if self._slots.get(guest) is None:
                self._slots.adopt(guest)

    def _adopt_unknown(self, guest: str, facts: ContainerFacts) -> None:
        """A slot without a state file: somebody emptied /run. One that runs may be a user's server, and is left
        alone until it ends or the hub removes it."""
        phase = Phase.CLAIMED if facts.running else Phase.DEAD
        log.warning("slot %s: no state file; taken to be %s", guest, phase.value)
        labels = facts.labels
        self._slots.adopt_unknown(
            Slot(
                guest,
                labels.get(LABEL_SERVER, ""),
                labels[LABEL_SLOT],
                phase,
                created_s=facts.created_s,
                container=facts.id,
                address=facts.address,
            )
        )

    def _died(self, found: Mapping[str, ContainerFacts]) -> Iterable[Slot]:
        for slot in self._slots.all():
            facts = found.get(slot.id)
            if slot.phase is Phase.DEAD:
                continue
            if slot.phase is Phase.CREATING or facts is None:
                self._slots.move(slot.id, Phase.DEAD)
            elif facts.running:
                self._ended_s.pop(slot.id, None)
                continue
            elif slot.phase is not Phase.CLAIMED:
                self._slots.move(slot.id, Phase.DEAD)
            else:
                now_s = self._clock.monotonic()
                if now_s - self._ended_s.setdefault(slot.id, now_s) >= EXIT_STATUS_S:
                    self._slots.move(slot.id, Phase.DEAD)
                continue
            if slot.phase in (Phase.WARMING, Phase.READY):  # else an agent was killed, or a claim fails
                yield slot

    def _forget_unknown(self, found: Mapping[str, ContainerFacts], folders: Iterable[str]) -> None:
        now_s = self._clock.monotonic()
        unknown = [guest for guest in folders if guest not in found and self._slots.get(guest) is None]
        self._unknown_s = {guest: self._unknown_s.get(guest, now_s) for guest in unknown}
        for guest, since_s in self._unknown_s.items():
            if now_s - since_s >= UNKNOWN_S:
                self._let_go(self._guests.forget, guest)

    def _remove_abandoned(self, found: Mapping[str, ContainerFacts]) -> None:
        now_s = self._clock.monotonic()
        ended = [
            guest
            for guest, facts in found.items()
            if LABEL_USER in facts.labels and LABEL_SLOT not in facts.labels and not facts.running
        ]
        self._abandoned_s = {guest: self._abandoned_s.get(guest, now_s) for guest in ended}
        for guest, since_s in self._abandoned_s.items():
            if now_s - since_s >= ABANDONED_S:
                self._let_go(partial(self._end_cold, found[guest].id), guest)

    def _end_cold(self, container: str, guest: str) -> None:
        now = self._containers.inspect(container)
        if now is not None and now.running:
            return  # somebody has just started it
        log.warning(
            "removing the container of a server that ended and that the hub has forgotten: guest %s", guest
        )
        self._containers.remove(container)
        self._guests.forget(guest)

    def _let_go(self, how: Callable[[str], None], name: str) -> None:
        """What cannot be removed now must not keep the rest from being done."""
        try:
            how(name)
            self._stuck.discard(name)
        except HubagentError as error:
            if name not in self._stuck:
                log.warning("what is left of guest %s cannot be removed: %s", name, error)
            self._stuck.add(name)
