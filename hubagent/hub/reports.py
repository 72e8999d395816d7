"""What the agent has to hear, one after the other and in order, however long it or the hub's database is away."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable
from typing import Final

from sqlalchemy.exc import SQLAlchemyError

from hubagent.backoff import Backoff
from hubagent.hub.agent_client import AgentAwayError, RefusedError

MOST: Final = 10_000
"""Reports that wait, which is days of a full hub without its agent. What comes then is lost, and said."""

REFUSALS: Final = 64
"""After so many, which come in an hour, one report no longer holds up those behind it."""

PAUSES: Final = Backoff(first_s=1.0, most_s=60.0)

_FINAL: Final = frozenset({"message", "not_allowed"})
"""Reasons (wire.REASONS) that will be the same next time."""

Tell = Callable[[], Awaitable[None]]
"""Tells all of it, or raises AgentAwayError, RefusedError or SQLAlchemyError; then it is called again."""

log = logging.getLogger("jupyterhub.hubagent")


class Reports:
    """Of one hub. In its memory alone: a hub that starts tells of all accounts anew."""

    def __init__(self, pauses: Backoff = PAUSES, most: int = MOST) -> None:
        self._pauses = pauses
        self._most = most
        self._waiting: deque[tuple[str, Tell, asyncio.Event]] = deque()
        self._sender: asyncio.Task[None] | None = None

    def add(self, what: str, tell: Tell) -> asyncio.Event | None:
        """Tell this after all that waits. `what` names it in the log. The event is set when it has been told or given
        up; None for what is not told at all."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:  # outside of a hub that runs, such as in `jupyterhub token`
            return None
        if len(self._waiting) >= self._most:
            log.error("The agent will not hear %s: %d reports wait for it already", what, self._most)
            return None
        over = asyncio.Event()
        self._waiting.append((what, tell, over))
        if self._sender is None or self._sender.done():
            self._sender = loop.create_task(self._send(), name="reports to the agent")
        return over

    async def _send(self) -> None:
        while self._waiting:
            what, tell, over = self._waiting[0]
            await self._tell(what, tell)
            self._waiting.popleft()
            over.set()

    async def _tell(self, what: str, tell: Tell) -> None:
        """Return when it has been told, or never will be."""
        failures = refusals = 0
        while True:
            try:
                return await tell()
            except (AgentAwayError, RefusedError, SQLAlchemyError) as error:
                failures += 1
                refusals += isinstance(error, RefusedError)
                is_final = isinstance(error, RefusedError) and error.reason in _FINAL
                if is_final or refusals >= REFUSALS:
                    log.error("The agent does not take %s: %s", what, error)
                    return None
                if failures == 1:
                    log.warning("Cannot tell the agent %s now, which is tried again: %s", what, error)
            except Exception:  # one that nobody thought of must not hold up the others
                log.exception("Cannot tell the agent %s", what)
                return None
            await asyncio.sleep(self._pauses.delay_s(failures))
