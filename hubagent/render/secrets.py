"""Secrets as a type that does not print itself."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Secrets:
    """What only root, and each service for its own part, may read."""

    proxy_token: str = field(repr=False)  # hex; between hub, agent and proxy
    agent_token: str = field(repr=False)  # hex; the agent's service in the hub
    database_password: str | None = field(default=None, repr=False)
    traits: Mapping[str, Mapping[str, object]] = field(default_factory=dict, repr=False)
