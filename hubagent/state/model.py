"""The nouns of a plan: components, verbs, steps."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hubagent.config.made.changes import Change
from hubagent.ladder import Level


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
