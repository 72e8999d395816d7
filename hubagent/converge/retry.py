"""What a crash left open is closed: back to the origin. The ordinary check then does the rest."""

from __future__ import annotations

import dataclasses
import logging
from typing import Final

from hubagent.backoff import Backoff
from hubagent.converge.generations import Generations, Switch
from hubagent.converge.quarantine import Held, Quarantine
from hubagent.ports import Clock
from hubagent.state.model import Plan

log = logging.getLogger(__name__)

_AT_ONCE: Final = 3
"""So often a file is tried without a pause. Then it may be what takes the agent down, and each try may interrupt
people; but a power cut or a lack of memory is not its fault, so that it is tried for ever, and ever more rarely."""

_PAUSES: Final = Backoff(first_s=300.0, most_s=6 * 3600.0)


class Recovery:
    """Remembers the switch that was interrupted. Methods may raise StorageError."""

    def __init__(self, generations: Generations, quarantine: Quarantine, clock: Clock) -> None:
        self._generations = generations
        self._quarantine = quarantine
        self._clock = clock
        self._interrupted: Switch | None = None
        self._has_permission = False

    @property
    def has_permission(self) -> bool:
        """Whether websockets may be dropped, because that was allowed to the switch that was interrupted: half
        of it may be in force, such as a new token in the proxy alone."""
        return self._has_permission

    def recover(self) -> None:
        """To be called by every check, before it starts."""
        switch = self._generations.interrupted()
        if switch is None:
            return
        log.warning(
            "an apply of generation %d was interrupted; starting again from %s", switch.target, switch.origin
        )
        if switch.origin is None or self._generations.whole(switch.origin) is not None:
            self._generations.abort(switch, "interrupted")
        known = self._quarantine.interruptions(switch.source_sha256)  # another may have held it
        if switch.attempt >= _AT_ONCE and switch.attempt > known:
            reason = f"the agent was interrupted {switch.attempt} times while it applied this file"
            pause_s = _PAUSES.delay_s(switch.attempt - _AT_ONCE + 1)
            self._quarantine.hold(
                Held(switch.source_sha256, None, reason, self._clock.time(), pause_s, switch.attempt)
            )
        self._interrupted, self._has_permission = switch, switch.disruptive
        if not switch.disruptive:
            self._generations.commit()

    def uncount(self) -> None:
        """The switch that is open was interrupted on purpose, which says nothing about its file."""
        switch = self._generations.interrupted()
        if switch is not None:
            self._generations.note(dataclasses.replace(switch, attempt=switch.attempt - 1))

    def settle(self) -> None:
        """To be called when the services are as they should be. Until then the journal of a switch that had permission
        stays open, to remember that."""
        if self._has_permission:
            self._generations.commit()
            self._has_permission = False

    def switch(self, origin: int | None, target: int, source_sha256: str, steps: Plan) -> Switch:
        """The one to begin now."""
        before = self._interrupted
        again = before is not None and before.source_sha256 == source_sha256
        attempts = before.attempt if before and again else self._quarantine.interruptions(source_sha256)
        return Switch(origin, target, source_sha256, attempts + 1, disruptive=steps.level.drops_websockets)
