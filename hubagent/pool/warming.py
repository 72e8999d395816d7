"""For how long a slot may warm up.

What counts is the processor time that it has used, not the clock: with its little weight on a busy machine a slot may
take many times as long as on a quiet one, and giving it up would only burn the same again. One that computes nothing
is given up by the clock. The time in which it stands still for users counts for neither.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hubagent import wire
from hubagent.errors import ContainerError, GuestError
from hubagent.pool.events import SlotFailure
from hubagent.pool.ports import PoolPorts
from hubagent.pool.slots import Slot

AT_MOST_S: Final = 3600.0
"""By the clock, whatever it computes: by then something is wrong with the machine, not with the slot."""

ASK_S: Final = 5.0
"""How often Docker is asked what a slot has used."""

WORKS_S: Final = 1.0
"""Of processor time: one that has used so much more does compute."""


class NotReadyError(GuestError):
    """A slot that will never be ready; the message says why, in words for `hubagent status`."""

    def __init__(self, failure: SlotFailure, message: str) -> None:
        super().__init__(message)
        self.failure = failure


@dataclass
class _Use:
    seen_s: float  # monotonic, as the next
    asked_s: float = float("-inf")
    warmed_s: float = 0.0  # by the clock, without standing still
    worked_s: float = 0.0  # of warmed_s: when it was last seen to have computed
    processor_s: float = 0.0


class Warming:
    """Used by the keeper's thread alone. An agent that takes over a slot begins anew by the clock."""

    def __init__(self, ports: PoolPorts) -> None:
        self._containers = ports.containers
        self._clock = ports.clock
        self._uses: dict[str, _Use] = {}

    def stands_still(self, slot: Slot) -> None:
        """It does now, and did since the last check."""
        self._use(slot).seen_s = self._clock.monotonic()

    def check(self, slot: Slot, doing: str) -> None:
        """Raises NotReadyError when it has had what it may have. `doing` says what it was at."""
        use, now_s = self._use(slot), self._clock.monotonic()
        use.warmed_s += now_s - use.seen_s
        use.seen_s = now_s
        if now_s - use.asked_s >= ASK_S:
            use.asked_s = now_s
            self._ask(slot, use)
        if use.processor_s >= wire.WARM_PROCESSOR_S:
            raise NotReadyError(
                SlotFailure.PROCESSOR,
                f"gave up after {wire.WARM_PROCESSOR_S:.0f} s of processor time {doing}",
            )
        if use.warmed_s - use.worked_s > wire.WARM_SILENT_S:
            raise NotReadyError(
                SlotFailure.SILENT, f"gave up after {wire.WARM_SILENT_S:.0f} s without any work {doing}"
            )
        if use.warmed_s > AT_MOST_S:
            raise NotReadyError(SlotFailure.TIME, f"gave up after {AT_MOST_S / 60:.0f} min {doing}")

    def cost_s(self, slot: Slot) -> float:
        """What it has cost so far: seconds by the clock or of processor time, whichever are more."""
        use = self._uses.get(slot.id)
        return 0.0 if use is None else max(use.warmed_s, use.processor_s)

    def forget(self, slot: Slot) -> None:
        self._uses.pop(slot.id, None)

    def _ask(self, slot: Slot, use: _Use) -> None:
        try:
            processor_s = self._containers.processor_s(slot.container)
        except ContainerError:  # Docker is being restarted; the slot knows nothing of it
            return
        if processor_s is not None and processor_s - use.processor_s >= WORKS_S:
            use.processor_s, use.worked_s = processor_s, use.warmed_s

    def _use(self, slot: Slot) -> _Use:
        return self._uses.setdefault(slot.id, _Use(self._clock.monotonic()))
