"""Servers that were started at a sign-in, and to which nobody has come since: they are stopped, and leave their place.

The proxy says when something was last asked of a server, by whomever and whatever way: what has been asked for anything
is its user's, and stays. One that the proxy says nothing of stays, too. A hub that restarts forgets; the culler stops
those then.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from jupyterhub.user import User

AGAIN_S: Final = 5.0
"""Between two questions to the proxy, at least (seconds): a class signs in at once, and each answer is about all."""


@dataclass(frozen=True)
class _Begun:
    handler: Any  # of the sign-in: JupyterHub starts and stops by those
    user: User
    spawner: Any
    started: datetime | None  # as in the database: of this start
    ready: datetime  # when the proxy had its route
    due_s: float  # of the event loop

    @property
    def is_there(self) -> bool:
        now = self.user.spawners.get("")
        return now is self.spawner and now.ready and now.orm_spawner.started == self.started


class Unvisited:
    """Of one hub."""

    def __init__(self) -> None:
        self._begun: deque[_Begun] = deque()
        self._watch: asyncio.Task[None] | None = None

    def add(self, handler: Any, user: User) -> None:
        """This user's default server is ready since this moment."""
        spawner, loop = user.spawner, asyncio.get_running_loop()
        due_s = loop.time() + spawner.unvisited_s
        self._begun.append(
            _Begun(handler, user, spawner, spawner.orm_spawner.started, datetime.now(UTC), due_s)
        )
        if self._watch is None or self._watch.done():
            self._watch = loop.create_task(self._look(), name="servers that wait for their users")

    async def _look(self) -> None:
        loop = asyncio.get_running_loop()
        while self._begun:
            first = self._begun[0]
            await asyncio.sleep(max(first.due_s - loop.time(), min(AGAIN_S, first.spawner.unvisited_s)))
            try:
                routes = await first.handler.proxy.get_all_routes()
            except Exception as error:  # whatever its client raises: a proxy that is being restarted
                first.handler.log.warning("Cannot ask the proxy who has come to their server: %s", error)
                continue
            while self._begun and self._begun[0].due_s <= loop.time():
                one = self._begun.popleft()
                try:
                    await _stop_unless_visited(one, routes)
                except Exception as error:  # of the database, or of a user who is gone; the culler is left
                    one.handler.log.warning("Cannot stop a server to which nobody has come: %s", error)


async def _stop_unless_visited(one: _Begun, routes: Mapping[str, Mapping[str, Any]]) -> None:
    if not one.is_there or not _is_unvisited(routes.get(one.spawner.proxy_spec), one.ready):
        return
    one.handler.log.info("Nobody has come to %s, which is stopped", one.spawner._log_name)
    await one.handler.stop_single_user(one.user)


def _is_unvisited(route: Mapping[str, Any] | None, ready: datetime) -> bool:
    """Whether the proxy says that nothing has been asked of it since it was ready."""
    said = None if route is None else route.get("data", {}).get("last_activity")
    try:
        return said is not None and datetime.fromisoformat(said).astimezone(UTC) <= ready
    except ValueError:
        return False


UNVISITED: Final = Unvisited()
