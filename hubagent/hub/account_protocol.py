"""What the account pages ask of the authenticator that serves them."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from hubagent.hub.accounts import Accounts
from hubagent.hub.passwords import PasswordHasher, PasswordPolicy
from hubagent.hub.sign_in_probe import SignInProbe


class NativeAccounts(Protocol):
    """`authenticator.HubagentAuthenticator` is one."""

    accounts: Accounts
    hasher: PasswordHasher
    policy: PasswordPolicy
    probe: SignInProbe
    admins: Collection[str]
    enable_signup: bool
    open_signup: bool
    ask_email_on_signup: bool

    def normalize_username(self, username: str) -> str: ...

    def validate_username(self, username: str) -> bool: ...

    async def verify_password(self, name: str, password: str) -> bool:
        """Is this the account's password? LoginRefusedError when it may not be tried now."""
        ...

    async def change_own_password(self, name: str, password: str) -> None:
        """Store a password that its owner chose. KeyError without an account, TooBusyError."""
        ...

    async def give_one_time_password(self, name: str, *, approved: bool = True) -> str:
        """Make the account, or reset it, with a one-time password, which is returned. TooBusyError."""
        ...

    def name_taken(self, name: str) -> bool:
        """May nobody sign up under this name?"""
        ...

    def approved_at_signup(self, name: str) -> bool:
        """Does a new account under this name need no approval?"""
        ...
