"""A user's server asks its hub who somebody is, again every five minutes. While the hub is restarted nobody answers
there, and JupyterHub's client (`HubAuth`, since version 4 a coroutine) fails the user's request at once. Here it waits.
"""

from __future__ import annotations

import asyncio
import inspect
import time
from typing import Any, Final

WAIT_S: Final = 20.0
"""So long a request waits for the hub (seconds): a restart takes a few, and nginx waits for 60."""

PAUSE_S: Final = 0.25

_AWAY: Final = "Failed to connect to Hub API"
"""How JupyterHub's error begins when it got no answer at all; any answer of the hub counts as it is."""


def install() -> None:
    """In this image's JupyterHub; one that is made otherwise is left as it is."""
    try:
        from jupyterhub.services import auth  # type: ignore[import-not-found]
    except Exception:  # the server will say what is wrong
        return
    ask = getattr(auth.HubAuth, "_api_request", None)
    if not inspect.iscoroutinefunction(ask):
        return

    async def ask_patiently(self: Any, *arguments: Any, **more: Any) -> Any:
        deadline_s = time.monotonic() + WAIT_S
        while True:
            try:
                return await ask(self, *arguments, **more)
            except Exception as error:
                if not _is_away(error) or time.monotonic() > deadline_s:
                    raise
            await asyncio.sleep(PAUSE_S)

    auth.HubAuth._api_request = ask_patiently


def _is_away(error: Exception) -> bool:
    return str(getattr(error, "log_message", "")).startswith(_AWAY)
