"""Signing in."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from jupyterhub.handlers.login import LoginHandler
from jupyterhub.user import User
from tornado.httputil import url_concat

from hubagent.hub import sign_in_probe
from hubagent.hub.login_errors import LoginRefusedError, PasswordChangeNeededError
from hubagent.hub.pages.base import Page
from hubagent.hub.pages.pending import PendingPassword


class LoginPage(LoginHandler, Page):  # type: ignore[misc]  # jupyterhub's handlers are untyped
    """JupyterHub's page with our form, and with the reason of a refusal."""

    def render_template(self, name: str, **values: Any) -> Awaitable[str] | str:
        answer: Awaitable[str] | str = super().render_template(
            "native-login.html" if name == "login.html" else name, **values
        )
        return answer

    async def post(self) -> None:
        username = self.field("username")
        if username == sign_in_probe.NAME:
            await self._sign_probe_in()
            return
        try:
            user = await self.login_user({"username": username, "password": self.secret("password")})
        except PasswordChangeNeededError as needed:
            PendingPassword(self).begin(needed.name)
            page = f"{self.hub.base_url}new-password"
            following = self.get_argument("next", "")
            self.redirect(url_concat(page, {"next": following} if following else {}), status=303)
            return
        except LoginRefusedError as refused:
            self.log.warning("Login of %.32r refused: %s", username, refused.message)
            await self._refuse(refused.status_code, refused.message, username)
            return
        if user is None:
            await self._refuse(403, "User name or password is wrong.", username)
            return
        self._jupyterhub_user = user  # for the request's log line, as in the base class
        self.redirect(self.get_next_url(user))

    async def _sign_probe_in(self) -> None:
        """As `login_user` does, but for the password, hooks for people, counters and the log."""
        probe = self.native.probe
        if not probe.redeem(self.secret("password")):
            await self._refuse(403, "User name or password is wrong.", sign_in_probe.NAME)
            return
        probe.signing_in()
        user = await self.auth_to_user({"name": sign_in_probe.NAME})
        self.set_login_cookie(user)
        probe.signed_in(user)
        self.redirect(f"{self.hub.base_url}home", status=303)

    def user_from_username(self, username: str) -> User:
        user = super().user_from_username(username)
        self.native.probe.uncounted(username)
        return user

    async def _refuse(self, status: int, message: str, username: str) -> None:
        self.set_status(status)
        self.finish(await self._render(login_error=message, username=username[:100]))
