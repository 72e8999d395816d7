"""What is left of a server that nobody wants any more is removed, however long that takes and whoever stops waiting.

JupyterHub waits a second for a start that it has cancelled, and forgets a spawner that has stopped. So a removal
belongs to neither: it is a task of its own, known by the server's name, and goes on until the agent says that the
container is gone.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from hubagent import wire
from hubagent.hub.agent_client import AgentAwayError, AgentClient, RefusedError

END_S: Final = 90.0
"""How long it may take to stop or remove one, after what is under way for the same user (seconds)."""

AGAIN_S: Final = 1.0
"""After this pause (seconds) a removal that failed is tried again: agent or Docker are being restarted, mostly."""

_FINAL: Final = frozenset({"not_allowed", "message"})
"""Reasons (wire.REASONS) that will be the same next time."""

Ending = wire.Stop | wire.Remove


@dataclass
class _Removal:
    task: asyncio.Task[None]
    tried: asyncio.Event = field(default_factory=asyncio.Event)  # once; or it is over
    superseded: asyncio.Event = field(default_factory=asyncio.Event)


class Removals:
    """At most one for each server; `server` is always the name that its own container would have."""

    def __init__(self) -> None:
        self._under_way: dict[str, _Removal] = {}

    def under_way(self, server: str) -> bool:
        return server in self._under_way

    def begin(
        self,
        server: str,
        agent: AgentClient,
        requests: Sequence[Ending],
        log: logging.Logger,
        *,
        after: asyncio.Task[Any] | None = None,
    ) -> None:
        """Ask the agent for this, one after the other, until it has been done. Nothing while a removal of the
        same server is under way: that one will do. `after` is what the agent has been asked for before."""
        if server in self._under_way:
            self._under_way[server].superseded.clear()
            return
        task = asyncio.create_task(
            self._carry_out(server, agent, requests, log, after), name=f"removal of {server}"
        )
        self._under_way[server] = _Removal(task)
        task.add_done_callback(lambda _: self._over(server))

    async def tried(self, server: str) -> None:
        """Return once it has been tried, if it is under way at all."""
        removal = self._under_way.get(server)
        if removal is not None:
            await removal.tried.wait()

    async def done(self, server: str) -> None:
        """Return when it is over, if it is under way at all."""
        removal = self._under_way.get(server)
        if removal is not None:
            await asyncio.wait([removal.task])

    async def give_way(self, server: str) -> None:
        """Before the server is started anew, which replaces what is left of an earlier one: wait for the agent's
        answer to what it has been asked, and ask no more."""
        removal = self._under_way.get(server)
        if removal is not None:
            removal.superseded.set()
            await asyncio.wait([removal.task])

    def _over(self, server: str) -> None:
        self._under_way.pop(server).tried.set()

    async def _carry_out(
        self,
        server: str,
        agent: AgentClient,
        requests: Sequence[Ending],
        log: logging.Logger,
        after: asyncio.Task[Any] | None,
    ) -> None:
        removal = self._under_way[server]
        if after is not None:
            await asyncio.wait([after])  # the agent may read later what it was asked earlier
        while True:
            problem = await _ask(agent, requests)
            if problem is None:
                return
            if isinstance(problem, RefusedError) and problem.reason in _FINAL:
                log.error("Cannot remove %s: %s", requests[-1].name, problem)
                return
            if not removal.tried.is_set():
                log.warning("Cannot remove %s now, which is tried again: %s", requests[-1].name, problem)
            removal.tried.set()
            try:
                await asyncio.wait_for(removal.superseded.wait(), AGAIN_S)
            except TimeoutError:
                continue
            return


async def _ask(agent: AgentClient, requests: Sequence[Ending]) -> AgentAwayError | RefusedError | None:
    try:
        for request in requests:
            await agent.ask(request, wire.Done, timeout_s=END_S, patience_s=0.0)
    except (AgentAwayError, RefusedError) as error:
        return error
    return None


REMOVALS: Final = Removals()
"""Of the hub's process: a server's next spawner has to know of what the last one left."""
