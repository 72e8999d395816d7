"""Choosing a password: the first one after a one-time password, and another one later."""

from __future__ import annotations

from jupyterhub import orm
from jupyterhub.user import User
from tornado import web

from hubagent.hub.accounts import Account
from hubagent.hub.login_errors import LoginRefusedError
from hubagent.hub.pages.base import Page
from hubagent.hub.pages.pending import PendingPassword
from hubagent.hub.passwords import TooBusyError


class NewPasswordPage(Page):
    """After a one-time password. Without its cookie, back to the login page."""

    async def get(self) -> None:
        account = PendingPassword(self).account()
        if account is None:
            self.redirect(self.settings["login_url"])
            return
        await self._form(account)

    async def post(self) -> None:
        pending = PendingPassword(self)
        account = pending.account()
        if account is None:
            self.redirect(self.settings["login_url"], status=303)
            return
        password = self.secret("password")
        try:
            problem = await self._problem(account, password)
            if problem is None:
                await self.native.change_own_password(account.name, password)
        except TooBusyError as error:
            problem = str(error)
        if problem is not None:
            await self._form(account, problem, status=400)
            return
        pending.end()
        user = await self.login_user({"username": account.name, "password": password})
        if user is None:
            self.redirect(self.settings["login_url"], status=303)
            return
        self._jupyterhub_user = user
        self.redirect(self.get_next_url(user), status=303)

    async def _problem(self, account: Account, password: str) -> str | None:
        if password != self.secret("password_again"):
            return "The two passwords differ. Please type the same one twice."
        problem = self.native.policy.problem(password, account.name)
        if problem is None and await self.native.hasher.verify(password, account.password_hash):
            return "Please choose a password other than the one-time password."
        return problem

    async def _form(self, account: Account, problem: str | None = None, *, status: int = 200) -> None:
        await self.show(
            "native-new-password.html",
            status=status,
            problem=problem,
            username=account.name,
            min_length=self.native.policy.min_length,
        )


class OwnPasswordPage(Page):
    """For whoever is signed in. Their other browsers are signed out by a change."""

    @web.authenticated
    async def get(self) -> None:
        await self._form()

    @web.authenticated
    async def post(self) -> None:
        name = self.me.name
        password = self.secret("password")
        try:
            problem = await self._problem(name, password)
            if problem is None:
                await self.native.change_own_password(name, password)
        except (TooBusyError, LoginRefusedError) as error:
            problem = str(error) if isinstance(error, TooBusyError) else error.message
        if problem is not None:
            await self._form(problem, status=400)
            return
        end_sessions(self, self.me)
        self.set_login_cookie(self.me)
        await self._form(done=True)

    async def _problem(self, name: str, password: str) -> str | None:
        if password != self.secret("password_again"):
            return "The two new passwords differ. Please type the same one twice."
        problem = self.native.policy.problem(password, name)
        if problem is None and not await self.native.verify_password(name, self.secret("old_password")):
            return "The current password is wrong."
        return problem

    async def _form(self, problem: str | None = None, *, status: int = 200, done: bool = False) -> None:
        await self.show(
            "native-change-password.html",
            status=status,
            problem=problem,
            done=done,
            username=self.me.name,
            min_length=self.native.policy.min_length,
        )


def end_sessions(page: Page, user: User) -> None:
    """Make every login cookie of this user worthless."""
    user.orm_user.cookie_id = orm.new_token()
    page.db.commit()
