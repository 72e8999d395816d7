"""`hub.start: at_login`: whoever has signed in, and goes on to their server, finds it started.

JupyterHub starts it one request later, where there is nothing to choose; where there is, when the form has come back;
and not at all on the way to a page of a server that was stopped. Here it begins with the sign-in. Its answer waits for
it as long as the answer to a click would, and leads to the server when that is there.

A sign-in is never refused for it, nor is anything started that somebody has not asked for by signing in: not by tokens,
not by the agent's own sign-in, which goes another way (see sign_in_probe).
"""

from __future__ import annotations

import asyncio
from functools import cache
from pathlib import Path
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from jupyterhub.apihandlers.base import APIHandler
from jupyterhub.handlers import BaseHandler
from jupyterhub.user import User
from sqlalchemy.exc import SQLAlchemyError

from hubagent.hub.choice import OPTION, certain
from hubagent.hub.interruption import Interrupting
from hubagent.hub.servers import load_servers
from hubagent.hub.unvisited import UNVISITED

WAIT_S: Final = 1.0
"""So long an answer waits for a start, as in JupyterHub's SpawnHandler (seconds)."""

_starts: set[asyncio.Task[None]] = set()  # the event loop itself does not keep them


class AtLogin(Interrupting):
    """For handlers that sign people in."""

    async def login_user(self, data: object = None) -> User | None:
        user = await super().login_user(data)
        if user is not None:
            try:
                await self._begin(user)
            except Exception as error:  # whatever is wrong with servers, this person is who they say
                self.log.warning("Cannot start the server of %s at their sign-in: %s", user.name, error)
                if isinstance(error, SQLAlchemyError):
                    self.db.rollback()
        return user

    async def _begin(self, user: User) -> None:
        spawner = user.spawner
        servers = load_servers(Path(spawner.servers_file))
        if not servers.start_at_login or spawner.active or not self._leads_to_server(user):
            return
        options = certain(servers, (spawner.orm_spawner.user_options or {}).get(OPTION))
        if options is None:
            return
        start = asyncio.create_task(self._start(user, options), name=f"start of {spawner._log_name}")
        _starts.add(start)
        start.add_done_callback(_starts.discard)
        await asyncio.wait([start], timeout=WAIT_S)

    async def _start(self, user: User, options: dict[str, str]) -> None:
        try:
            await self.spawn_single_user(user, options=options)
            slow = user.spawner._spawn_future
            if slow is not None:
                await asyncio.wait([slow])
        except Exception as error:  # the page that they come to tells them
            self.log.warning("The server of %s was not started at their sign-in: %s", user.name, error)
            return
        if user.spawner.ready:
            UNVISITED.add(self, user)

    def _leads_to_server(self, user: User) -> bool:
        """Whether this person goes on to their default server, or to a page from which they would start it."""
        place = urlsplit(self.get_next_url(user))
        hub, own = self.hub.base_url, f"{user.base_url.rstrip('/')}/"
        for prefix in (own, f"{hub}{own.lstrip('/')}"):
            if place.path.startswith(prefix):
                first = unquote(place.path.removeprefix(prefix).partition("/")[0])
                return not first or first not in user.orm_user.orm_spawners
        if place.path.startswith(f"{hub}user-redirect/"):
            return True
        if place.path in {f"{hub}spawn", f"{hub}spawn/{user.escaped_name}"}:
            return not parse_qs(place.query, keep_blank_values=True).keys() - {"next"}  # options are a choice
        return place.path in {"/", self.base_url, hub, f"{hub}home"}


@cache
def starting(handler: type) -> type:
    """The handler, which starts servers when it signs somebody in; any other class as it is."""
    if not issubclass(handler, BaseHandler) or issubclass(handler, APIHandler):
        return handler
    return type(handler.__name__, (AtLogin, handler), {"__module__": handler.__module__})
