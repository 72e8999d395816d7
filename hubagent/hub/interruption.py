"""Stopping a server that is still being started, or looked for after a restart of the hub.

JupyterHub's own way is to cancel, wait a second, and stop what it then takes for a running server: in that second
the server counts as ready, and whatever else begins meanwhile makes the stop fail with 500.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any, Final

from jupyterhub.handlers import BaseHandler
from jupyterhub.user import User

from hubagent.hub.start_errors import failure

_AGAIN_S: Final = 0.5


class Interrupting(BaseHandler):  # type: ignore[misc]  # jupyterhub's handlers are untyped
    """For handlers that start and stop servers."""

    async def interrupt(self, user: User, server_name: str) -> bool:
        """Stop the server if its start is pending; whether it was. It may be stopping still when this returns."""
        spawner = user.spawners[server_name]
        future: asyncio.Future[Any] | None = spawner._spawn_future
        if spawner.pending == "check":
            spawner.give_up_check()
            return True
        if spawner.pending != "spawn" or future is None:
            return False
        self.log.warning("Interrupting the start of %s", spawner._log_name)
        spawner.interrupted = True
        try:
            while (
                not future.done()
            ):  # what is being awaited may end at the same time, and the cancellation be lost
                future.cancel()
                await asyncio.wait([future], timeout=_AGAIN_S)
        finally:
            spawner.interrupted = False
        # Nothing is awaited up to here, so nobody has seen it as ready.
        if spawner.ready:
            await self.stop_single_user(user, server_name)
        else:  # it had failed, and was being stopped for that
            with suppress(TimeoutError):
                await asyncio.wait_for(spawner.removed(), self.slow_stop_timeout)
        return True

    async def spawn_single_user(
        self, user: User, server_name: str = "", display_name: str = "", options: object = None
    ) -> None:
        """As in JupyterHub. Raises SpawnException when the start is interrupted: by itself, that would end the
        request without an answer."""
        try:
            await super().spawn_single_user(user, server_name, display_name, options)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is not None and task.cancelling():
                raise
            raise failure(
                "The server was stopped while it started.", reason="interrupted", status=409
            ) from None
