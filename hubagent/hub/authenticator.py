"""Native accounts: NativeAuthenticator's table and life cycle, with pages and checks of our own.

NativeAuthenticator 1.3 does not work on JupyterHub 6, hashes on the hub's event loop, lets the first
comer take an admin's name, and changes accounts by GET; nothing of its handlers is used.
"""

from __future__ import annotations

import asyncio
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jupyterhub import orm
from nativeauthenticator import NativeAuthenticator
from sqlalchemy.orm import Session
from tornado import web
from traitlets import Integer, Set, Unicode, default

from hubagent.hub import account_names, sign_in_probe, usernames
from hubagent.hub.accountable import API, Accountable
from hubagent.hub.accounts import Accounts
from hubagent.hub.failed_logins import FailedLogins
from hubagent.hub.login_errors import LoginRefusedError, PasswordChangeNeededError
from hubagent.hub.one_time_password import OneTimeFiles
from hubagent.hub.pages import handlers
from hubagent.hub.passwords import PasswordHasher, PasswordPolicy, TooBusyError, one_time_password
from hubagent.hub.sign_in_probe import SignInProbe

if TYPE_CHECKING:
    from jupyterhub.app import JupyterHub
    from jupyterhub.user import User


class HubagentAuthenticator(Accountable, NativeAuthenticator):  # type: ignore[misc]  # nativeauthenticator is untyped
    """Signs in whoever has an approved native account.

    What NativeAuthenticator's traits say is honoured: enable_signup, open_signup, ask_email_on_signup,
    minimum_password_length, check_common_password, allowed_failed_logins, seconds_before_next_try.
    """

    one_time_dir = Unicode(
        "/var/lib/jupyterhub/one-time", config=True, help="Folder for the first passwords of admins."
    )
    admins = Set(Unicode(), config=True, help="Users with an account of their own, whom nobody else can be.")
    auth_refresh_age = Integer(
        60, config=True, help="Seconds after which a session notices that its account is no longer approved."
    )

    @default("db")
    def _shared_session(self) -> Session:
        # The accounts' table is in the hub's database. The base class warns of that at every start.
        session: Session = self._deprecated_db_session
        return session

    @default("allow_all")
    def _allow_all(self) -> bool:
        return True  # having an approved account is the gate

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.admins = {self.normalize_username(name) for name in self.admins}
        self.accounts = Accounts(self.db)
        self.hasher = PasswordHasher()
        self.policy = PasswordPolicy(self.minimum_password_length, bool(self.check_common_password))
        self.failed_logins = FailedLogins(self.allowed_failed_logins, float(self.seconds_before_next_try))
        self.one_time_files = OneTimeFiles(Path(self.one_time_dir))
        self.probe = SignInProbe(self.db)

    def normalize_username(self, username: object) -> str:
        """Raises HTTPError (400) for what is no text: a request to the API may hold anything."""
        if not isinstance(username, str):
            raise web.HTTPError(400, f"A user name is text, and not {str(username)[:100]}.")
        name: str = super().normalize_username(usernames.normalise(username))
        return name

    def validate_username(self, username: str) -> bool:
        return super().validate_username(username) and usernames.problem(username) is None

    def name_problem(self, name: str) -> str | None:
        return account_names.problem(name) or usernames.problem(name) or super().name_problem(name)

    def rename_problem(self, name: str, new: str) -> str | None:
        if name in self.admins:
            return f"hubagent.yaml names the admin {name}: change hub.admins there instead."
        if new in self.admins or self.accounts.find(new) is not None:
            return f"There is an account {new} already."
        return None

    def rename(self, name: str, new: str) -> None:
        """Whoever signed in by the old name signs in by the new one."""
        self.accounts.rename(name, new)

    async def authenticate(self, handler: web.RequestHandler, data: dict[str, str]) -> str | None:
        """The user's name when name and password are right, None when not.

        Raises LoginRefusedError when locked out, busy, or waiting for approval, and
        PasswordChangeNeededError after a one-time password.
        """
        name = self.normalize_username(data.get("username", ""))
        if not await self.verify_password(name, data.get("password", "")):
            return None
        account = self.accounts.find(name)
        if account is None:
            return None
        if not account.approved:
            raise LoginRefusedError("Your account is waiting for approval by an administrator.")
        if account.one_time:
            raise PasswordChangeNeededError(name)
        return name

    async def verify_password(self, name: str, password: str) -> bool:
        """Is this the account's password? Counts failures, and takes as long for names that do not exist.

        Raises LoginRefusedError after too many failures, or when the machine is too busy.
        """
        wait_s = self.failed_logins.begin(name)
        if wait_s > 0:
            minutes = math.ceil(wait_s / 60)
            raise LoginRefusedError(
                "Too many failed attempts for this user name. "
                f"Please try again in {minutes} minute{'s' if minutes > 1 else ''}.",
                status=429,
            )
        account = self.accounts.find(name)
        stored = account.password_hash if account is not None else None
        try:
            right = await self.hasher.verify(password, stored)
        except TooBusyError as error:
            raise LoginRefusedError(str(error), status=503) from error
        now = self.accounts.find(name)  # it may have been changed or removed while we were hashing
        if not right or now is None or now.password_hash != stored:
            return False
        self.failed_logins.succeeded(name)
        return True

    async def change_own_password(self, name: str, password: str) -> None:
        """Store a password that its owner chose. Raises KeyError without an account, TooBusyError."""
        self.accounts.set_password(name, await self.hasher.hash(password))
        self.one_time_files.remove(name)

    async def give_one_time_password(self, name: str, *, approved: bool = True) -> str:
        """Make the account, or reset it, with a one-time password, which is returned. Raises TooBusyError."""
        password = one_time_password()
        self.accounts.store(name, await self.hasher.hash(password, one_time=True), approved=approved)
        return password

    def name_taken(self, name: str) -> bool:
        """May nobody sign up under this name? It has an account, or belongs to an admin."""
        if name in self.admins or self.accounts.find(name) is not None:
            return True
        known = orm.User.find(self.db, name)
        return known is not None and bool(known.admin)

    def approved_at_signup(self, name: str) -> bool:
        """Does a new account under this name need no approval?

        A user whom the hub knows already may hold groups, roles and files; taking over their name is
        for an admin to allow.
        """
        return bool(self.open_signup) and orm.User.find(self.db, name) is None

    async def add_user(self, user: User) -> None:
        """JupyterHub's hook, for every user at its start and for each new one. Admins get their account."""
        if user.name == sign_in_probe.NAME and self.probe.is_there:
            return
        # Of very many new ones at once, too, JupyterHub makes one after the other in one go.
        await asyncio.sleep(0)
        super().add_user(user)
        if user.name in self.admins:
            await self._seed_admin(user.name)

    async def _seed_admin(self, name: str) -> None:
        """An approved account is left alone. One that still waits was made by who knows whom: it is reset."""
        account = self.accounts.find(name)
        if account is not None and account.approved and not self.one_time_files.asked(name):
            return
        password = one_time_password()
        password_hash = await self.hasher.hash(password, one_time=True)
        # The file first: a password in the database that nobody can read would lock the admin out.
        self.one_time_files.write(name, password)
        self.accounts.store(name, password_hash, approved=True)
        self.log.info("Made a one-time password for admin %s in %s", name, self.one_time_dir)

    def delete_user(self, user: User) -> None:
        """JupyterHub's hook: a deleted user's account goes, too."""
        super().delete_user(user)
        self.one_time_files.remove(user.name)

    async def refresh_user(self, user: User, handler: web.RequestHandler | None = None) -> bool:
        """A session ends when its account is gone or no longer approved."""
        account = self.accounts.find(user.name)
        return account is not None and account.approved

    def get_handlers(self, app: JupyterHub) -> list[tuple[str, type[web.RequestHandler]]]:
        app.template_vars["native_accounts"] = True
        app.template_vars["accounts_waiting"] = self._waiting_for
        return [*API, *handlers()]

    def _waiting_for(self, user: User | None) -> int:
        """How many accounts wait for this person's approval; shown in the navigation bar."""
        return self.accounts.waiting() if user is not None and user.admin else 0
