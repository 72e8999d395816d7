"""What of the way that users' servers start a person should know: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hubagent.observability.status import PoolStatus, Problem, Reason
from hubagent.state.model import Component


def problems(fault: str, pools: Sequence[PoolStatus], trials: Mapping[str, str]) -> tuple[Problem, ...]:
    """`fault` is why the hub cannot ask for servers at all, empty when it can; `trials` why none starts, by the
    name of the entry."""
    unasked = Problem(Component.HUB, Reason.SPAWN, f"no server can be started: {fault}")
    cold = (
        Problem(
            Component.DOCKER,
            Reason.POOL,
            f"servers.{pool.server}.warm: no slot can be made, so every start is cold: {pool.last_failure}",
        )
        for pool in pools
        if pool.is_in_trouble
    )
    broken = (
        Problem(
            Component.DOCKER, Reason.SERVER, f"servers.{name}: no server starts with these settings: {why}"
        )
        for name, why in trials.items()
    )
    return (*((unasked,) if fault else ()), *broken, *cold)
