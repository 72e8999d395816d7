"""Tells the agent who has signed in, so that a new home is there before its owner asks for a server."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, Final

from jupyterhub.auth import Authenticator

from hubagent import wire
from hubagent.hub.agent_client import AgentAwayError, AgentClient, RefusedError

TELL_S: Final = 2.0
"""How long the agent may take to hear of it (seconds); nobody waits for that."""

_telling: set[asyncio.Task[None]] = set()  # asyncio keeps no task alive by itself


async def announce(
    authenticator: Authenticator, handler: Any, authentication: dict[str, Any]
) -> dict[str, Any]:
    """JupyterHub's post_auth_hook: called for everybody who may come in, whatever authenticator says so."""
    agent = AgentClient(Path(handler.config.HubagentSpawner.agent_socket))
    task = asyncio.create_task(_tell(agent, authenticator, authentication["name"]))
    _telling.add(task)
    task.add_done_callback(_telling.discard)
    return authentication


async def _tell(agent: AgentClient, authenticator: Authenticator, user: str) -> None:
    try:
        await agent.ask(wire.Expect(user), wire.Done, timeout_s=TELL_S, patience_s=0.0)
    except (AgentAwayError, RefusedError) as error:
        authenticator.log.info(
            "Did not tell the agent who signed in; a new home is made at its first start: %s", error
        )
