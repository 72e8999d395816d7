"""What people and programs are told while the hub's database cannot be used.

JupyterHub goes on as if nobody had signed in when the database fails while it looks up who asks. Then who has a session
is sent to the login page, and a token is refused with 403: a user's server would take its user for signed out, and
a program its token for a wrong one. What fails later is an "Internal Server Error". Here all of it is 503, with words.

A server's start or end that JupyterHub cannot write down leaves it half-started or half-stopped until the hub is
restarted: neither looked after nor to be stopped or started. So it hears of them only once the database takes that.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from jupyterhub import orm
from jupyterhub.handlers import BaseHandler
from jupyterhub.utils import utcnow
from sqlalchemy.exc import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    NotSupportedError,
    PendingRollbackError,
    ProgrammingError,
    SQLAlchemyError,
)
from sqlalchemy.orm import Session
from tornado.web import HTTPError

MESSAGE: Final = (
    "The hub cannot use its database now. Servers that run go on. Please try again in a minute; "
    "an administrator sees the reason with `hubagent status`."
)

_FAILED: Final = (DatabaseError, InterfaceError, PendingRollbackError)
_WRONG: Final = (DataError, IntegrityError, NotSupportedError, ProgrammingError)
"""Of those (PEP 249) what was asked is the reason, and not how the database is."""


class Telling(BaseHandler):  # type: ignore[misc]  # jupyterhub's handlers are untyped
    """For every handler of JupyterHub's kind."""

    async def prepare(self) -> None:
        self.expanded_scopes: set[str] = set()
        try:
            await self._identify()
        except Exception as error:
            if is_failure(error):
                self._resolve_roles_and_scopes()  # those of nobody, for the page that says so
                raise
            # It is nobody then. Asked again, JupyterHub would take a sign-in that it could not refresh as it is.
            self.log.exception("Cannot find out who asks")
            if isinstance(error, SQLAlchemyError):
                self.db.rollback()
        await super().prepare()

    async def _identify(self) -> None:
        try:
            await self.get_current_user()
        except PendingRollbackError:  # of what failed before, which was no request
            self.db.rollback()
            del self._jupyterhub_user
            await self.get_current_user()

    def send_error(self, status_code: int = 500, **more: Any) -> None:
        _, error, trace = more.get("exc_info") or (None, None, None)
        if is_failure(error):
            self.db.rollback()
            told = HTTPError(503, MESSAGE, reason="Service Unavailable")
            status_code, more = 503, {**more, "exc_info": (HTTPError, told, trace)}
        super().send_error(status_code, **more)

    def _log(self) -> None:
        """The line of a request, which has the name of who asked: it may have to be read again. What fails here leaves
        the answer unsent."""
        try:
            super()._log()
        except SQLAlchemyError:
            self.db.rollback()
            self._jupyterhub_user = None
            super()._log()


def is_failure(error: BaseException | None) -> bool:
    """Whether the database failed, and not what it was asked for."""
    return isinstance(error, _FAILED) and not isinstance(error, _WRONG)


def is_writable(session: Session, spawner: orm.Spawner) -> bool:
    """Whether the database takes now what becomes of a server. Tried with when it was last active."""
    try:
        spawner.last_activity = utcnow(with_tz=False)
        session.commit()
    except SQLAlchemyError as error:
        session.rollback()
        return not is_failure(error)
    return True


@cache
def telling(handler: type) -> type:
    """The handler, which says so; any other class as it is."""
    if not issubclass(handler, BaseHandler):
        return handler
    return type(handler.__name__, (Telling, handler), {"__module__": handler.__module__})
