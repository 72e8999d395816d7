"""What a crash left open is closed: back to the origin. The ordinary look then does the rest."""

from __future__ import annotations

import dataclasses
import logging

from hubagent.converge.generations import Generations, Switch
from hubagent.converge.quarantine import Held, Quarantine
from hubagent.ports import Clock
from hubagent.state.model import Plan

log = logging.getLogger(__name__)

_MAX_ATTEMPTS = 3  # a file that takes the agent down this often is not tried again


class Recovery:
    """Remembers the switch that was interrupted. Methods may raise StorageError."""

    def __init__(self, generations: Generations, quarantine: Quarantine, clock: Clock) -> None:
        self._generations = generations
        self._quarantine = quarantine
        self._clock = clock
        self._interrupted: Switch | None = None
        self._has_leave = False

    @property
    def has_leave(self) -> bool:
        """Whether websockets may be dropped, because that was allowed to the switch that was interrupted: half
        of it may be in force, such as a new token in the proxy alone."""
        return self._has_leave

    def recover(self) -> None:
        """To be called by every look, before it looks."""
        switch = self._generations.interrupted()
        if switch is None:
            return
        log.warning(
            "an apply of generation %d was interrupted; starting again from %s", switch.target, switch.origin
        )
        if switch.origin is None or self._generations.whole(switch.origin) is not None:
            self._generations.abort(switch, "interrupted")
        if switch.attempt >= _MAX_ATTEMPTS:
            reason = f"the agent was interrupted {switch.attempt} times while it applied this file"
            self._quarantine.hold(Held(switch.source_sha256, None, reason, self._clock.time()))
        self._interrupted, self._has_leave = switch, switch.disruptive
        if not switch.disruptive:
            self._generations.commit()

    def uncount(self) -> None:
        """The switch that is open was interrupted on purpose, which says nothing about its file."""
        switch = self._generations.interrupted()
        if switch is not None:
            self._generations.note(dataclasses.replace(switch, attempt=switch.attempt - 1))

    def settle(self) -> None:
        """To be called when the services are as they should be. Until then the journal of a switch that had leave
        stays open, to remember that."""
        if self._has_leave:
            self._generations.commit()
            self._has_leave = False

    def switch(self, origin: int | None, target: int, source_sha256: str, steps: Plan) -> Switch:
        """The one to begin now."""
        before = self._interrupted
        again = before is not None and before.source_sha256 == source_sha256
        attempt = before.attempt + 1 if before and again else 1
        return Switch(origin, target, source_sha256, attempt, disruptive=steps.level.drops_websockets)
