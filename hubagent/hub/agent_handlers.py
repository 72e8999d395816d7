"""What the agent asks of the hub beyond JupyterHub's own API: below /hub/api/hubagent/, for its token alone.

Nothing here needs the database to find out who asks: that it does not answer is what is asked about.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any, Final

from jupyterhub import apihandlers
from tornado.web import HTTPError, RequestHandler

from hubagent.hub import sign_in_probe
from hubagent.hub.authenticator import HubagentAuthenticator
from hubagent.hub.database_health import DatabaseHealth
from hubagent.hub.last_error import LastError

if TYPE_CHECKING:
    from hubagent.hub.sign_in_probe import SignInProbe

_PREFIX: Final = "/api/hubagent"


def install(token: str, database_url: str) -> None:
    """Serve them, whatever the authenticator. To be called once, before JupyterHub makes its application."""
    errors = LastError()
    errors.install()
    health = {"token": token, "health": DatabaseHealth(database_url), "errors": errors}
    # `extra_handlers` would do, with a warning at every start: it is deprecated for handlers of users.
    apihandlers.default_handlers += [
        (f"{_PREFIX}/health", HealthHandler, health),
        (f"{_PREFIX}/probe", ProbeHandler, {"token": token}),
    ]


class AgentHandler(RequestHandler):
    """403 for everybody who does not have the agent's token."""

    def initialize(self, token: str) -> None:
        self._token = token

    def prepare(self) -> None:
        given = self.request.headers.get("Authorization", "")
        if not hmac.compare_digest(given.encode(), f"token {self._token}".encode()):
            raise HTTPError(403)

    def check_xsrf_cookie(self) -> None:
        """Nobody is known here by a cookie."""

    def set_default_headers(self) -> None:
        self.set_header("Cache-Control", "no-store")


class HealthHandler(AgentHandler):
    """{"database": why it cannot be used or "", "error": the hub's last one or ""}"""

    def initialize(self, token: str, health: DatabaseHealth, errors: LastError) -> None:  # type: ignore[override]
        super().initialize(token)
        self._health = health
        self._errors = errors

    async def get(self) -> None:
        self.finish({"database": await self._health.problem(), "error": self._errors.line})


class ProbeHandler(AgentHandler):
    """POST begins a sign-in that only proves something, DELETE ends it. 404 where accounts are not ours."""

    @property
    def _probe(self) -> SignInProbe:
        authenticator = self.settings["authenticator"]
        if not isinstance(authenticator, HubagentAuthenticator):
            raise HTTPError(404)
        return authenticator.probe

    def post(self) -> None:
        password = self._probe.grant(self._users)
        self.finish({"username": sign_in_probe.NAME, "password": password})

    def delete(self) -> None:
        self._probe.end(self._users)
        self.set_status(204)
        self.finish()

    @property
    def _users(self) -> Any:
        return self.settings["users"]
