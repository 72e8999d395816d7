"""The idle culler as it comes, except for its first look and for how it fails.

It starts with the hub and looks at once, while the hub still takes everybody for idle since before its
restart: it asks the proxy who is at work only later. So the first look stops nothing.

A look that cannot reach the hub (which is restarting, for instance) would end up in the log with all
arguments of the call, the token among them. Here it is one line.
"""

from __future__ import annotations

import logging
from typing import Any

import jupyterhub_idle_culler
from tornado.log import LogFormatter

from hubagent.log_priority import PriorityFormatter

_look = jupyterhub_idle_culler.cull_idle


class Looks:
    """One look at all servers for each call; failures are logged, and the next look tries again."""

    def __init__(self) -> None:
        self._looked = False

    async def __call__(self, *, logger: logging.Logger, **arguments: Any) -> None:
        if not self._looked:
            arguments["cull_arbiter"] = _nothing
        self._looked = True
        try:
            await _look(logger=logger, **arguments)
        except Exception as error:  # it raises whatever its HTTP client does
            logger.warning("Cannot look for idle servers now: %s", error)


class _Lines(PriorityFormatter, LogFormatter):
    """The culler's own lines."""

    has_colours = True


class Culler(jupyterhub_idle_culler.IdleCuller):  # type: ignore[misc]  # it is untyped
    """The culler as it comes, with the priority of its lines."""

    _log_formatter_cls = _Lines


def _nothing(**server: object) -> bool:
    """The culler's question whether to stop a server."""
    return False


if __name__ == "__main__":
    jupyterhub_idle_culler.cull_idle = Looks()  # the name under which its `start` finds it
    Culler.launch_instance()
