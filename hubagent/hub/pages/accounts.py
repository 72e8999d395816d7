"""Accounts, for admins: who waits for approval, and what can be done with an account."""

from __future__ import annotations

from typing import Final

from jupyterhub.scopes import needs_scope
from jupyterhub.utils import maybe_future
from tornado import web

from hubagent.hub import usernames
from hubagent.hub.accounts import Account
from hubagent.hub.pages.base import Page
from hubagent.hub.pages.passwords import end_sessions
from hubagent.hub.passwords import TooBusyError

_SCOPE: Final = "admin:users"


class AccountsPage(Page):
    """All accounts, those that wait first; POST makes a new one with a one-time password."""

    @web.authenticated
    @needs_scope(_SCOPE)  # type: ignore[untyped-decorator]  # jupyterhub is untyped here
    async def get(self) -> None:
        await self._list()

    @web.authenticated
    @needs_scope(_SCOPE)  # type: ignore[untyped-decorator]
    async def post(self) -> None:
        name = self.native.normalize_username(self.field("username"))
        problem = usernames.problem(name)
        if problem is None and self.native.accounts.find(name) is not None:
            problem = "There is an account with this user name already."
        if problem is not None:
            await self._list(problem)
            return
        try:
            password = await self.native.give_one_time_password(name)
        except TooBusyError as error:
            await self._list(str(error))
            return
        self.log.info("%s made the account %s", self.me.name, name)
        await self.show("native-one-time.html", username=name, password=password)

    async def _list(self, problem: str | None = None) -> None:
        accounts = self.native.accounts.all()
        await self.show(
            "native-accounts.html",
            status=400 if problem else 200,
            problem=problem,
            waiting=[account for account in accounts if not account.approved],
            approved=[account for account in accounts if account.approved],
            admins=self.native.admins,
            known={account.name for account in accounts if self.find_user(account.name) is not None},
        )


class AccountPage(Page):
    """One thing to do with one account: GET asks whether to do it, POST does it."""

    @web.authenticated
    @needs_scope(_SCOPE)  # type: ignore[untyped-decorator]
    async def get(self, action: str, name: str) -> None:
        await self.show("native-account.html", action=action, account=self._account(action, name))

    @web.authenticated
    @needs_scope(_SCOPE)  # type: ignore[untyped-decorator]
    async def post(self, action: str, name: str) -> None:
        account = self._account(action, name)
        if action == "change-password":
            await self._reset(account)
            return
        if action == "discard":
            await self._discard(name)
        else:
            self.native.accounts.set_approved(name, approved=action == "authorize")
        self.log.info("%s: %s the account %s", self.me.name, action, name)
        self.redirect(f"{self.hub.base_url}authorize", status=303)

    async def _reset(self, account: Account) -> None:
        try:
            password = await self.native.give_one_time_password(account.name, approved=account.approved)
        except TooBusyError as error:
            raise web.HTTPError(503, str(error)) from error
        user = self.find_user(account.name)
        if user is not None:
            end_sessions(self, user)
        self.log.info("%s reset the password of %s", self.me.name, account.name)
        await self.show("native-one-time.html", username=account.name, password=password)

    async def _discard(self, name: str) -> None:
        """With the user of the hub, if it is one: whoever signs up under the name next is somebody else, and must not
        get their groups and home."""
        user = self.find_user(name)
        if user is None:
            self.native.accounts.remove(name)
            return
        if user.active:
            raise web.HTTPError(409, f"A server of {name} runs. Stop it first.")
        await maybe_future(self.authenticator.delete_user(user))
        await user.delete_spawners()
        self.users.delete(user)

    def _account(self, action: str, name: str) -> Account:
        """The account, when `action` makes sense for it."""
        account = self.native.accounts.find(name)
        if account is None:
            raise web.HTTPError(404, f"There is no account {name}.")
        if action == "discard" and account.approved:
            raise web.HTTPError(409, "This account is approved. Delete the user on the admin page instead.")
        if action == "withdraw" and name in self.native.admins:
            raise web.HTTPError(409, "hubagent.yaml names this admin; take the name off hub.admins first.")
        return account
