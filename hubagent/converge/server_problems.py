"""What of the way that users' servers start a person should know: pure."""

from __future__ import annotations

from collections.abc import Sequence

from hubagent.observability.status import PoolStatus, Problem, Reason
from hubagent.state.model import Component


def problems(fault: str, pools: Sequence[PoolStatus]) -> tuple[Problem, ...]:
    """`fault` is why the hub cannot ask for servers at all, empty when it can."""
    unasked = Problem(Component.HUB, Reason.SPAWN, f"no server can be started: {fault}")
    cold = (
        Problem(Component.DOCKER, Reason.POOL, f"servers.{pool.server}.warm: {_why_cold(pool)}")
        for pool in pools
        if pool.is_in_trouble
    )
    return (*((unasked,) if fault else ()), *cold)


def _why_cold(pool: PoolStatus) -> str:
    if pool.claims_fail is not None:
        return f"no slot can become a user's server, so every start is cold: {pool.claims_fail}"
    return f"no slot can be made, so every start is cold: {pool.last_failure}"
