"""Native accounts, kept in NativeAuthenticator's table in the hub's database."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final

from nativeauthenticator.orm import UserInfo
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from hubagent.hub.passwords import ONE_TIME

MAX_WAITING: Final = 1000
"""Accounts that may wait for approval at a time: the sign-up page is open to the world."""

_EMAIL: Final = re.compile(r"[A-Za-z0-9.+_-]+@[A-Za-z0-9._-]+\.[A-Za-z]+")


@dataclass(frozen=True, slots=True)
class Account:
    """A native account as it is now."""

    name: str
    email: str | None
    approved: bool
    password_hash: bytes = field(repr=False)

    @property
    def one_time(self) -> bool:
        """Must the password be changed at the next login?"""
        return self.password_hash.startswith(ONE_TIME)


def email_problem(email: str) -> str | None:
    """Why the table does not take this address, as a sentence; None if it does."""
    if len(email) > 128 or not _EMAIL.fullmatch(email):
        return "Please give a valid e-mail address, like name@example.org."
    return None


class Accounts:
    """Changes are committed at once, unless they say otherwise. Names are normalised by the caller."""

    def __init__(self, session: Session) -> None:
        self._session = session

    def find(self, name: str) -> Account | None:
        row = self._row(name)
        return None if row is None else _account(row)

    def all(self) -> tuple[Account, ...]:
        rows: Iterable[UserInfo] = self._session.scalars(
            select(UserInfo).order_by(UserInfo.username, UserInfo.id)
        )
        return tuple(_account(row) for row in rows)

    def waiting(self) -> int:
        """How many wait for approval."""
        query = select(func.count()).select_from(UserInfo).where(UserInfo.is_authorized.is_not(True))
        return int(self._session.scalar(query) or 0)

    def store(self, name: str, password_hash: bytes, *, approved: bool, email: str | None = None) -> None:
        """Make an account, or give the existing one this password and approval."""
        row = self._row(name)
        if row is None:
            row = UserInfo(username=name, email=email)
            self._session.add(row)
        row.password = password_hash
        row.is_authorized = approved
        self._session.commit()

    def set_password(self, name: str, password_hash: bytes) -> None:
        """Raises KeyError for an account that does not exist (any more)."""
        self._require(name).password = password_hash
        self._session.commit()

    def set_approved(self, name: str, *, approved: bool) -> None:
        """Raises KeyError for an account that does not exist (any more)."""
        self._require(name).is_authorized = approved
        self._session.commit()

    def rename(self, name: str, new: str) -> None:
        """Nobody has an account under the new name; an absent one is fine. Not committed: its user is renamed with
        it."""
        row = self._row(name)
        if row is not None:
            row.username = new

    def remove(self, name: str) -> None:
        """Remove the account; an absent one is fine."""
        rows: Iterable[UserInfo] = self._session.scalars(select(UserInfo).where(UserInfo.username == name))
        for row in rows:
            self._session.delete(row)
        self._session.commit()

    def _row(self, name: str) -> UserInfo | None:
        query = select(UserInfo).where(UserInfo.username == name).order_by(UserInfo.id)
        return self._session.scalars(query).first()

    def _require(self, name: str) -> UserInfo:
        row = self._row(name)
        if row is None:
            raise KeyError(name)
        return row


def _account(row: UserInfo) -> Account:
    return Account(
        name=row.username,
        email=row.email,
        approved=bool(row.is_authorized),
        password_hash=bytes(row.password),
    )
