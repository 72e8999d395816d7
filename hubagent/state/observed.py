"""What is: one frozen look at the machine, the other side of the plan."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from hubagent.config.model import Metrics
from hubagent.ports import ActiveState, LoadState, UnitState
from hubagent.state.model import Component


@dataclass(frozen=True, slots=True)
class Observed:
    """Facts only; nothing here is derived from what was wished."""

    generation: int | None  # that `current` points at
    digest: str | None  # of that generation, as it was written
    damaged: tuple[str, ...]  # files of it that were changed by hand since
    statics: Mapping[str, bytes | None]  # files outside the generations, by path
    units: Mapping[Component, UnitState]
    loaded: Mapping[Component, str | None]  # marker that each running consumer answers
    routes: int | None  # routes in the proxy, None when it does not answer
    hub_route: bool  # the proxy has its route to the hub; a restarted proxy has lost it
    metrics: Metrics | None  # where our own metrics are served now, and to whom; None when they are not
    live_restore: bool | None = None  # of the container engine, None when it does not answer
    docker_failed: bool = False  # it does not answer because systemd cannot start it
    altered: Mapping[Component, str] = field(default_factory=dict)  # what runs was changed by hand, in words
    outdated: Mapping[Component, str] = field(default_factory=dict)  # runs another build than is installed
    monotonic_s: float = 0.0  # when this was seen; units' active_since_s is of the same clock

    def runs(self, component: Component) -> bool:
        """The unit is there and active."""
        unit = self.units.get(component)
        return unit is not None and unit.active in (ActiveState.ACTIVE, ActiveState.RELOADING)

    def masked(self, component: Component) -> bool:
        """An administrator has masked the unit: respected, never fought."""
        unit = self.units.get(component)
        return unit is not None and unit.load is LoadState.MASKED
