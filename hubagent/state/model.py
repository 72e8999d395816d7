"""The nouns of a check: components, the steps of a plan, and the machine as it was observed."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field

from hubagent.config.made.changes import Change
from hubagent.config.model import Metrics
from hubagent.ladder import Level
from hubagent.ports import ActiveState, LoadState, UnitState


class Component(enum.Enum):
    """What hubagent keeps in shape."""

    NGINX = "nginx"
    HUB = "hub"
    PROXY = "proxy"
    FIREWALL = "firewall"
    DOCKER = "docker"
    METRICS = "metrics"


class Verb(enum.Enum):
    """What a step does, mildest first."""

    NONE = "none"  # read at the next spawn; nothing is run
    WRITE = "write"
    RESYNC = "resync"  # ask the hub to put its routes back into the proxy
    START = "start"
    RELOAD = "reload"
    RESTART = "restart"


@dataclass(frozen=True, slots=True)
class Step:
    """One thing to do, with its reason in words for a person."""

    component: Component
    verb: Verb
    level: Level
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """Steps in order; `pending` ones wait for permission to drop websockets."""

    generation: int | None  # the generation that this plan makes, None when files stay as they are
    steps: tuple[Step, ...]
    pending: tuple[Step, ...] = ()
    changes: tuple[Change, ...] = ()

    @property
    def is_empty(self) -> bool:
        return self.generation is None and not self.steps

    @property
    def level(self) -> Level:
        return max((step.level for step in self.steps), default=Level.NOTHING)


@dataclass(frozen=True, slots=True)
class ClosedPort:
    """A port of a unit that runs, on which nobody or somebody else listens."""

    address: str
    port: int
    holder: str  # who listens there instead, in words for a person; empty when nobody does
    users: int = 0  # established connections through the unit, which a restart of it would end

    @property
    def words(self) -> str:
        """What is wrong, after the name of the unit."""
        if self.holder:
            return f"runs without its port {self.address}:{self.port}, which is held by {self.holder}"
        return f"runs without its port {self.address}:{self.port}"


@dataclass(frozen=True, slots=True)
class Observed:
    """Facts only; nothing here is derived from what was wished."""

    generation: int | None  # that `current` points at
    digest: str | None  # of that generation, as it was written
    markers: Mapping[Component, str]  # of that generation: what a consumer answers that has loaded it
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
    certificate: str | None = None  # that nginx serves (hex sha256), None while that is not known
    closed: Mapping[Component, ClosedPort] = field(
        default_factory=dict
    )  # units that run without a port of theirs
    monotonic_s: float = 0.0  # when this was seen; units' active_since_s is of the same clock

    def runs(self, component: Component) -> bool:
        """The unit is there and active."""
        unit = self.units.get(component)
        return unit is not None and unit.active in (ActiveState.ACTIVE, ActiveState.RELOADING)

    def masked(self, component: Component) -> bool:
        """An administrator has masked the unit: respected, never fought."""
        unit = self.units.get(component)
        return unit is not None and unit.load is LoadState.MASKED
