"""A sign-in that shows that signing in works: by an account that is nobody's, and there for that moment alone.

Whoever has the agent's token is given a password that lives in this process, for one use and a minute. The account
has a name that nobody can have, no password in the database, no server, no admin's rights, and is left out of what
the hub lists and counts. See docs/adr/0022.
"""

from __future__ import annotations

import asyncio
import hmac
import secrets
import time
from typing import Any, Final

from jupyterhub import orm
from jupyterhub.metrics import TOTAL_USERS
from jupyterhub.user import User, UserDict
from sqlalchemy import event
from sqlalchemy.orm import ORMExecuteState, Session, with_loader_criteria

NAME: Final = "hubagent probe"
"""No user name of a native account has a space."""

LASTS_S: Final = 60.0
"""So long a password is good, and the account stays when nobody ends it (seconds)."""


class SignInProbe:
    """One at a time; for the hub's event loop alone."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._password: str | None = None
        self._cookie_id = ""
        self._end: asyncio.TimerHandle | None = None
        self.is_there = False  # its account

    def grant(self, users: UserDict) -> str:
        """The password of a new probe; the one before is over."""
        self.end(users)
        self._password = secrets.token_urlsafe(32)
        self._end = asyncio.get_running_loop().call_later(LASTS_S, self.end, users)
        return self._password

    def redeem(self, password: str) -> bool:
        """Whether this is the password, which is of no use afterwards, right or wrong."""
        granted, self._password = self._password, None
        return granted is not None and hmac.compare_digest(granted.encode(), password.encode())

    def uncounted(self, name: str) -> None:
        """To be called in the moment in which JupyterHub has made and counted a user."""
        if name == NAME:
            TOTAL_USERS.dec()

    def signing_in(self) -> None:
        """From now on the account is in no list."""
        if not self.is_there:
            event.listen(self._session, "do_orm_execute", self._hide)
            self.is_there = True

    def signed_in(self, user: User) -> None:
        """It may come back with its cookie."""
        self._cookie_id = user.cookie_id
        user._auth_refreshed = time.monotonic()

    def end(self, users: UserDict) -> None:
        """Remove the account, if there is one, and forget the password."""
        self._password = None
        if self._end is not None:
            self._end.cancel()
            self._end = None
        try:
            row = orm.User.find(self._session, NAME)
            if row is not None:
                users.delete(users[row])
                TOTAL_USERS.inc()  # it was not counted when it was made
        finally:
            self._cookie_id = ""
            if self.is_there:
                event.remove(self._session, "do_orm_execute", self._hide)
                self.is_there = False

    def _hide(self, query: ORMExecuteState) -> None:
        """Leave the account out of every query that does not ask for it by its name or its cookie."""
        if not query.is_select or query.is_column_load or query.is_relationship_load:
            return
        statement: Any = query.statement
        asked = statement.compile().params.values()
        if not any(_is(value, NAME) or _is(value, self._cookie_id) for value in asked):
            criteria = with_loader_criteria(orm.User, orm.User.name != NAME, include_aliases=True)
            query.statement = statement.options(criteria)


def _is(value: Any, text: str) -> bool:
    return isinstance(value, str) and bool(text) and value == text
