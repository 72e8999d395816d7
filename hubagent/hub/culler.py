"""The idle culler as it comes, except for its first check, for what it decides by and for how it fails.

It starts with the hub and checks at once, while the hub still takes everybody for idle since before its
restart: it asks the proxy who is at work only later. So the first check stops nothing.

It stops one server after the other, which takes seconds each: at the end of a lecture it comes to the last one
minutes after it asked who is idle. Whoever has come back meanwhile, or starts the server anew, keeps it: the hub is
asked once more before each.

A check that cannot reach the hub (which is restarting, for instance) would end up in the log with all
arguments of the call, the token among them. Here it is one line.
"""

from __future__ import annotations

import json
import logging
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import quote

import jupyterhub_idle_culler
from tornado.httpclient import AsyncHTTPClient, HTTPRequest
from tornado.log import LogFormatter

from hubagent.log_priority import PriorityFormatter

_cull_idle = jupyterhub_idle_culler.cull_idle


class Checks:
    """One check of all servers for each call; failures are logged, and the next check tries again."""

    def __init__(self) -> None:
        self._looked = False

    async def __call__(self, *, url: str, api_token: str, logger: logging.Logger, **arguments: Any) -> None:
        """Arguments are those of `jupyterhub_idle_culler.cull_idle`."""
        arguments["cull_arbiter"] = StillIdle(url, api_token) if self._looked else _nothing
        self._looked = True
        try:
            await _cull_idle(url=url, api_token=api_token, logger=logger, **arguments)
        except Exception as error:  # it raises whatever its HTTP client does
            logger.warning("Cannot check for idle servers now: %s", error)


class _Lines(PriorityFormatter, LogFormatter):
    """The culler's own lines."""

    has_colours = True


class Culler(jupyterhub_idle_culler.IdleCuller):  # type: ignore[misc]  # it is untyped
    """The culler as it comes, with the priority of its lines."""

    _log_formatter_cls = _Lines


class StillIdle:
    """The culler's question whether to stop a server, right before it does."""

    def __init__(self, url: str, token: str) -> None:
        """`url` is that of the hub's API."""
        self._url = url
        self._token = token

    async def __call__(
        self, *, inactive: timedelta, inactive_limit: float, server: Mapping[str, Any], **_: object
    ) -> bool:
        limit = timedelta(seconds=inactive_limit)
        if inactive < limit:
            return False
        now = await self._now(server["full_name"])
        if not now.get("ready") or now["pending"]:
            return False
        last = datetime.fromisoformat(now["last_activity"] or now["started"])
        return datetime.now(UTC) - last >= limit

    async def _now(self, full_name: str) -> Mapping[str, Any]:
        """The hub's model of a server (USER/SERVER), empty when it has stopped or the user is gone. Raises whatever
        the HTTP client does."""
        user, _, name = full_name.partition("/")
        request = HTTPRequest(
            f"{self._url}/users/{quote(user)}", headers={"Authorization": f"token {self._token}"}
        )
        answer = await AsyncHTTPClient().fetch(request, raise_error=False)
        model: Mapping[str, Any] = {}
        if answer.code == 200:
            model = json.loads(answer.body)["servers"].get(name, {})
        return model


def _nothing(**server: object) -> bool:
    """Its answer at the first check."""
    return False


if __name__ == "__main__":
    jupyterhub_idle_culler.cull_idle = Checks()  # the name under which its `start` finds it
    Culler.launch_instance()
