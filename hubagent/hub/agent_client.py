"""The hub's side of the agent's spawn socket; see hubagent/wire for messages and frames.

The agent may be restarted at any time, by an upgrade for one, and is away for seconds then: requests wait for
it, and what it was asked when it went is asked again. Whoever gives up waiting (asyncio cancels) closes the
connection; the agent finishes what it began.
"""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from hubagent import wire

PATIENCE_S: Final = 8.0
"""How long an agent that is away is waited for (seconds). JupyterHub tells at once of what fails within 10 s."""

_PAUSE_S: Final = 0.1


class AgentAwayError(Exception):
    """The agent did not answer, or not in time."""


class RefusedError(Exception):
    """The agent did not do it; the message is for people, the reason one of wire.REASONS."""

    def __init__(self, refused: wire.Refused) -> None:
        super().__init__(refused.message)
        self.reason = refused.reason


class AgentClient:
    """One connection for each request, as many at once as are wanted."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def ask(
        self,
        request: object,
        expected: type[wire.Message],
        *,
        timeout_s: float,
        patience_s: float = PATIENCE_S,
    ) -> wire.Message:
        """The answer. Within `patience_s` the request is made again when the agent is away or goes away, so it
        must be one that may be made twice. Raises RefusedError and AgentAwayError."""
        loop = asyncio.get_running_loop()
        give_up_s = loop.time() + patience_s
        try:
            async with asyncio.timeout(timeout_s):
                while True:
                    try:
                        answer = await self._once(wire.encode(request), expected)
                        break
                    except (OSError, asyncio.IncompleteReadError) as error:
                        if loop.time() >= give_up_s:
                            raise AgentAwayError(f"no answer at {self._path}: {error}") from error
                    await asyncio.sleep(_PAUSE_S)
        except TimeoutError as error:
            raise AgentAwayError(f"no answer at {self._path} within {timeout_s:g} s") from error
        except wire.WireError as error:
            raise AgentAwayError(f"invalid answer at {self._path}: {error}") from error
        if isinstance(answer, wire.Refused):
            raise RefusedError(answer)
        return answer

    async def _once(self, frame: bytes, expected: type[wire.Message]) -> wire.Message | wire.Refused:
        reader, writer = await asyncio.open_unix_connection(self._path, limit=wire.MAX_BYTES)
        try:
            writer.write(frame)
            await writer.drain()
            length = wire.body_length(await reader.readexactly(wire.HEADER.size))
            answer = wire.from_json(await reader.readexactly(length), expected, wire.Refused)
            assert isinstance(answer, expected | wire.Refused)
            return answer
        finally:
            writer.close()
