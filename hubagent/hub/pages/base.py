"""What the pages have in common."""

from __future__ import annotations

from typing import cast

from jupyterhub.handlers import BaseHandler
from jupyterhub.user import User

from hubagent.hub.account_protocol import NativeAccounts


class Page(BaseHandler):  # type: ignore[misc]  # jupyterhub's handlers are untyped
    """A page of the hub, with the authenticator in its own type."""

    @property
    def native(self) -> NativeAccounts:
        return cast("NativeAccounts", self.authenticator)

    @property
    def me(self) -> User:
        """Whoever is signed in; only for methods that require it."""
        return self.current_user

    async def show(self, template: str, *, status: int = 200, **values: object) -> None:
        """Answer with a template."""
        self.set_status(status)
        self.finish(await self.render_template(template, **values))

    def field(self, name: str) -> str:
        """A field of the submitted form without white space around it; empty when absent."""
        return str(self.get_body_argument(name, ""))

    def secret(self, name: str) -> str:
        """A password field: kept as it was typed."""
        return str(self.get_body_argument(name, "", strip=False))
