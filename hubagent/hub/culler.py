"""The idle culler as it comes, except for how it fails.

A look that cannot reach the hub (which is restarting, for instance) would end up in the log with all
arguments of the call, the token among them. Here it is one line.
"""

from __future__ import annotations

import logging
from typing import Any

import jupyterhub_idle_culler

_look = jupyterhub_idle_culler.cull_idle


async def look(*, logger: logging.Logger, **arguments: Any) -> None:
    """One look at all servers; failures are logged, and the next look tries again."""
    try:
        await _look(logger=logger, **arguments)
    except Exception as error:  # it raises whatever its HTTP client does
        logger.warning("Cannot look for idle servers now: %s", error)


if __name__ == "__main__":
    jupyterhub_idle_culler.cull_idle = look  # the name under which its `start` finds it
    jupyterhub_idle_culler.main()
