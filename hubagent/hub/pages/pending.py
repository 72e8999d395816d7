"""Between a one-time password and the new one: nobody is signed in yet."""

from __future__ import annotations

import hashlib
from typing import Final

from jupyterhub.utils import get_browser_protocol

from hubagent.hub.accounts import Account
from hubagent.hub.pages.base import Page

_COOKIE: Final = "hubagent-new-password"
_MAX_AGE_DAYS: Final = 15 / (24 * 60)


class PendingPassword:
    """A signed cookie that says whose one-time password was right.

    It names the stored hash as well, so it is worth nothing once the password has changed.
    """

    def __init__(self, page: Page) -> None:
        self._page = page

    def begin(self, name: str) -> None:
        account = self._page.native.accounts.find(name)
        if account is None:
            return
        self._page.set_secure_cookie(
            _COOKIE,
            f"{_fingerprint(account)}:{name}",
            expires_days=None,
            path=self._page.hub.base_url,
            httponly=True,
            samesite="Lax",
            secure=get_browser_protocol(self._page.request) == "https",
        )

    def account(self) -> Account | None:
        """The account that may choose its password now, if there is one."""
        value = self._page.get_secure_cookie(_COOKIE, max_age_days=_MAX_AGE_DAYS)
        if value is None:
            return None
        fingerprint, _, name = value.decode().partition(":")
        account = self._page.native.accounts.find(name)
        if account is None or not account.one_time or _fingerprint(account) != fingerprint:
            return None
        return account

    def end(self) -> None:
        self._page.clear_cookie(_COOKIE, path=self._page.hub.base_url)


def _fingerprint(account: Account) -> str:
    return hashlib.sha256(account.password_hash).hexdigest()
