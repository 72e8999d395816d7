"""Tells the agent which accounts there are, who has signed in, and whose account was deleted.

Homes are kept for accounts, and a new one is there before its owner asks for a server. Nobody waits for any of this,
and an agent that is away hears it later.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Iterator
from contextlib import suppress
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Final

from jupyterhub.auth import Authenticator
from sqlalchemy import event, inspect
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import InstanceState, Session, object_session

from hubagent import wire
from hubagent.hub.account_identity import person
from hubagent.hub.agent_client import AgentClient
from hubagent.hub.database_failure import is_failure
from hubagent.hub.reports import Reports

TELL_S: Final = 120.0
"""How long the agent may take to look through the homes of some hundred people (seconds)."""

RENAME_S: Final = 2.0
"""How long whoever renames a user waits until the agent has heard of it (seconds)."""

AT_ONCE: Final = 500
"""People in one message: a name has up to 255 characters, a message a megabyte."""

GATHER_S: Final = 0.5
"""So long others are waited for before the agent is told: a hub that starts meets all its users (seconds)."""

log = logging.getLogger("jupyterhub.hubagent")


class Reporter:
    """Of one hub to its agent."""

    def __init__(self, agent: AgentClient, reports: Reports | None = None) -> None:
        self._agent = agent
        self._reports = reports or Reports()
        self._gathered: dict[int, Any] = {}  # users, by number
        self._gathering: asyncio.Event | None = None  # until they have been told
        self._arriving: set[str] = set()
        self._leaving: dict[int, tuple[InstanceState[Any], wire.Person]] = {}  # by number

    def arriving(self, name: str) -> None:
        """Somebody comes in for the first time; the account is made next."""
        self._arriving.add(name)

    def arrived(self, user: Any) -> None:
        """This user has signed in."""
        who = person(user)
        self._tell(wire.Expect(who.user, who.account, who.account_since_s), f"that {who.user} has signed in")

    def exists(self, user: Any) -> None:
        """This user has an account: one that was made just now, or that the hub found when it started."""
        if user.name in self._arriving:
            self._arriving.discard(user.name)
            self.arrived(user)
            return
        self._gathered[user.id] = user
        if self._gathering is None or self._gathering.is_set():
            self._gathering = self._reports.add("which accounts there are", self._tell_gathered)

    async def know(self, user: Any) -> None:
        """The agent has heard what this user is called now, or does not answer, when this returns."""
        who = person(user)
        told = self._tell(wire.Known((who,)), f"that there is {who.user}")
        if told is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(told.wait(), RENAME_S)

    def leaving(self, user: Any) -> None:
        """This user is being deleted. The agent hears of it once the database has taken that: an account that stays
        keeps its home."""
        row = getattr(user, "orm_user", None) or user
        self._leaving[row.id] = inspect(row), person(user)
        session = object_session(row)
        if not event.contains(session, "after_commit", self._committed):
            event.listen(session, "after_commit", self._committed)

    def _committed(self, _: Session) -> None:
        for number, (state, who) in tuple(self._leaving.items()):
            if state.was_deleted:
                del self._leaving[number]
                self._gone(number, who)

    def _gone(self, number: int, who: wire.Person) -> None:
        log.info("%s was deleted; the home stays on the machine, for an administrator's decision", who.user)
        self._gathered.pop(number, None)
        self._tell(wire.Gone(who.user, who.account), f"that {who.user} was deleted")

    async def _tell_gathered(self) -> None:
        await asyncio.sleep(GATHER_S)
        while self._gathered:
            some = dict(islice(self._gathered.items(), AT_ONCE))
            # Only now: a hub that starts fills in when its oldest users were made.
            await self._ask(wire.Known(tuple(_there(some.values()))))
            for number in some:
                self._gathered.pop(number, None)

    def _tell(self, request: object, what: str) -> asyncio.Event | None:
        return self._reports.add(what, partial(self._ask, request))

    async def _ask(self, request: object) -> None:
        await self._agent.ask(request, wire.Done, timeout_s=TELL_S, patience_s=0.0)


def _there(users: Iterable[Any]) -> Iterator[wire.Person]:
    """Those that are in the database still. Raises SQLAlchemyError while it cannot be used."""
    for user in users:
        try:
            yield person(user)
        except SQLAlchemyError as error:
            if is_failure(error):
                raise
            log.warning("An account is gone that the agent was to hear of: %s", error)


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
