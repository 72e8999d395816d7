"""Errors for the person who pressed Start."""

from __future__ import annotations

from typing import Final

from jupyterhub.spawner import SpawnException

from hubagent import wire
from hubagent.hub.agent_client import AgentAwayError, RefusedError

_PASSES: Final = frozenset({"engine", "busy"})
"""Reasons of the agent's (wire.REASONS) that may be gone at the next try."""

_DECIDED_BY_PEOPLE: Final = frozenset({"foreign_home"})
"""Reasons that no further try changes."""


def failure(message: str, *, reason: str, status: int = 500) -> SpawnException:
    """An error that JupyterHub shows as `message` alone, and counts under `reason`."""
    error = SpawnException(message, reason=reason, status_code=status)
    error.jupyterhub_message = message
    return error


def of_agent(error: AgentAwayError | RefusedError) -> SpawnException:
    """The agent's refusals are in words for the user already."""
    if isinstance(error, RefusedError):
        if error.reason in _DECIDED_BY_PEOPLE:
            return failure(str(error), reason=error.reason, status=409)
        return failure(str(error), reason=error.reason, status=503 if error.reason in _PASSES else 500)
    return failure(
        "The service that starts servers (hubagent) does not answer. Please try again in a minute.",
        reason="agent_away",
        status=503,
    )


def of_end(inspected: wire.Inspected) -> SpawnException:
    """Of a container that does not run although its server has not answered yet."""
    if not inspected.present:
        return failure("The server was removed while it started.", reason="exited")
    if inspected.out_of_memory:
        return failure("The server ran out of memory while it started.", reason="memory")
    return failure(
        f"The server ended while it started (exit status {inspected.exit_code}); the hub's log says more.",
        reason="exited",
    )
