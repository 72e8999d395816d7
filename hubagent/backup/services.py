"""Agent and hub, out of the way while their files are exchanged."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from typing import Final

from hubagent.errors import UnitError
from hubagent.layout import AGENT, HUB
from hubagent.ports import ActiveState, LoadState, UnitManager, UnitVerb

_STOP_S: Final = 90.0
_START_S: Final = (
    1800.0  # the agent is up when it has looked at the whole machine, and may take longer while it gets on
)
_ENDED: Final = (ActiveState.INACTIVE, ActiveState.FAILED)


class Services:
    """The agent first, so that it does not start the hub again."""

    def __init__(self, units: UnitManager) -> None:
        self._units = units

    def hub_runs(self) -> bool:
        return not self._has_ended(HUB)

    @contextmanager
    def stopped(self, lock: AbstractContextManager[object]) -> Iterator[None]:
        """`lock` is the agent's, held meanwhile. Raises UnitError when one does not stop, BusyError when the lock
        is somebody else's; then the agent is started again. After that they stay stopped if what is done
        meanwhile fails: half of it may be exchanged."""
        with ExitStack() as held:
            try:
                self._stop(AGENT)
                held.enter_context(lock)
                self._stop(HUB)
            except BaseException:
                held.close()
                self.start()
                raise
            yield

    def start(self) -> None:
        """The agent, which starts the rest. One that may not run is left alone."""
        if self._units.unit(AGENT).load is LoadState.LOADED:
            self._units.run(UnitVerb.START, AGENT, timeout_s=_START_S)

    def _stop(self, unit: str) -> None:
        if self._has_ended(unit):
            return
        self._units.run(UnitVerb.STOP, unit, timeout_s=_STOP_S)
        if not self._has_ended(unit):
            raise UnitError(f"{unit} does not stop; see systemctl status {unit}")

    def _has_ended(self, unit: str) -> bool:
        return self._units.unit(unit).active in _ENDED
