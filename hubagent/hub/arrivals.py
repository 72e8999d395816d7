"""Tells the agent which accounts there are, who has signed in, and whose account was deleted.

Homes are kept for accounts, and a new one is there before its owner asks for a server. Nobody waits for any of this:
what the agent does not hear now it finds out when a server starts.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Final

from jupyterhub.auth import Authenticator

from hubagent import wire
from hubagent.hub.account_identity import person
from hubagent.hub.agent_client import AgentAwayError, AgentClient, RefusedError

TELL_S: Final = 2.0
"""How long the agent may take to hear of an arrival (seconds)."""

KNOW_S: Final = 120.0
"""How long it may take to look through the homes of some hundred people (seconds)."""

AWAY_S: Final = 60.0
"""How long an agent that is away is waited for with what it is told only once (seconds)."""

AT_ONCE: Final = 500
"""People in one message: a name has up to 255 characters, a message a megabyte."""

GATHER_S: Final = 0.5
"""So long others are waited for before the agent is told: a hub that starts meets all its users (seconds)."""

log = logging.getLogger("jupyterhub.hubagent")


class Reporter:
    """Of one hub to its agent."""

    def __init__(self, agent: AgentClient) -> None:
        self._agent = agent
        self._tasks: set[asyncio.Task[None]] = set()  # asyncio keeps no task alive by itself
        self._gathered: dict[int, Any] = {}  # users, by number
        self._arriving: set[str] = set()

    def arriving(self, name: str) -> None:
        """Somebody comes in for the first time; the account is made next."""
        self._arriving.add(name)

    def arrived(self, user: Any) -> None:
        """This user has signed in."""
        who = person(user)
        request = wire.Expect(who.user, who.account, who.account_since_s)
        self._begin(self._tell(request, timeout_s=TELL_S, patience_s=0.0))

    def exists(self, user: Any) -> None:
        """This user has an account: one that was made just now, or that the hub found when it started."""
        if user.name in self._arriving:
            self._arriving.discard(user.name)
            self.arrived(user)
            return
        if not self._gathered:
            self._begin(self._tell_gathered())
        self._gathered[user.id] = user

    async def know(self, user: Any) -> None:
        """The agent has heard what this user is called now, or does not answer, when this returns."""
        await self._tell(wire.Known((person(user),)), timeout_s=TELL_S, patience_s=0.0)

    def gone(self, user: Any) -> None:
        who = person(user)
        log.info("%s was deleted; the home stays on the machine, for an administrator's decision", who.user)
        self._gathered.pop(user.id, None)
        self._begin(self._tell(wire.Gone(who.user, who.account), timeout_s=KNOW_S, patience_s=AWAY_S))

    async def _tell_gathered(self) -> None:
        await asyncio.sleep(GATHER_S)
        # Only now: a hub that starts fills in when its oldest users were made.
        people = tuple(person(user) for user in self._gathered.values())
        self._gathered.clear()
        for begin in range(0, len(people), AT_ONCE):
            known = wire.Known(people[begin : begin + AT_ONCE])
            await self._tell(known, timeout_s=KNOW_S, patience_s=AWAY_S)

    async def _tell(self, request: object, *, timeout_s: float, patience_s: float) -> None:
        try:
            await self._agent.ask(request, wire.Done, timeout_s=timeout_s, patience_s=patience_s)
        except (AgentAwayError, RefusedError) as error:
            log.info("Could not tell the agent %s: %s", type(request).__name__, error)

    def _begin(self, telling: Coroutine[Any, Any, None]) -> None:
        try:
            task = asyncio.get_running_loop().create_task(telling)
        except RuntimeError:  # outside of a hub that runs, such as in `jupyterhub token`
            telling.close()
            return
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def reporter(config: Any) -> Reporter:
    """By the hub's configuration."""
    return Reporter(AgentClient(Path(config.HubagentSpawner.agent_socket)))


async def announce(
    authenticator: Authenticator, handler: Any, authentication: dict[str, Any]
) -> dict[str, Any]:
    """JupyterHub's post_auth_hook: called for everybody who may come in, whatever authenticator says so. The account of
    whoever comes for the first time is made after it."""
    user, told = handler.find_user(authentication["name"]), authenticator.reporter
    if user is None:
        told.arriving(authentication["name"])
    else:
        told.arrived(user)
    return authentication
