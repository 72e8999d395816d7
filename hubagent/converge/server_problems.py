"""What of the way that users' servers start a person should know: pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from hubagent.state.model import Component
from hubagent.state.status import PoolStatus, Problem, Reason


def problems(
    fault: str, pools: Sequence[PoolStatus], trials: Mapping[str, str], *, homes_waiting: int = 0
) -> tuple[Problem, ...]:
    """`fault` is why the hub cannot ask for servers at all, empty when it can; `trials` why none starts, by the
    name of the entry. `homes_waiting` is how many homes somebody asks for whose they are not."""
    unasked = Problem(Component.HUB, Reason.SPAWN, f"no server can be started: {fault}")
    cold = (
        Problem(Component.DOCKER, Reason.POOL, f"servers.{pool.server}.warm: {_why_cold(pool)}")
        for pool in pools
        if pool.is_in_trouble
    )
    many = "1 home is waiting" if homes_waiting == 1 else f"{homes_waiting} homes are waiting"
    foreign = Problem(  # without names: anybody on the machine may read this
        None,
        Reason.HOME,
        f"{many} for a decision: users whose name an earlier account had cannot start a server. "
        "`hubagent homes` lists them; `hubagent homes keep`, `archive` or `set-aside` settles it",
    )
    broken = (
        Problem(
            Component.DOCKER, Reason.SERVER, f"servers.{name}: no server starts with these settings: {why}"
        )
        for name, why in trials.items()
    )
    return (*((unasked,) if fault else ()), *broken, *cold, *((foreign,) if homes_waiting else ()))


def _why_cold(pool: PoolStatus) -> str:
    if pool.claims_fail is not None:
        return f"no slot can become a user's server, so every start is cold: {pool.claims_fail}"
    return f"no slot can be made, so every start is cold: {pool.last_failure}"
