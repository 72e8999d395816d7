"""Who is at work, as the proxy has seen it, for the hub's database.

JupyterHub asks the database for each server, and lets nobody else have a turn until it is through with all of them:
2 to 3 ms each, so seconds with some hundred servers. Here it is two questions for some of them, then whoever waits has
a turn.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from itertools import islice
from typing import Any, Final

from jupyterhub import orm
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session, selectinload

AT_ONCE: Final = 20
"""Servers between two turns of others: 10 ms on a slow machine."""

Seen = tuple[str, str, datetime]
"""A user, one of their servers, and when it was last used (UTC, without a time zone, as in the database)."""


async def store(db: Session, routes: Mapping[str, Mapping[str, Any]], log: logging.Logger) -> None:
    """Write down when users and servers were last at work. `routes` are those of Proxy.get_all_routes. A database
    that fails is logged; the next time makes up for it."""
    seen = _seen(routes, log)
    while batch := tuple(islice(seen, AT_ONCE)):
        try:
            _store(db, batch)
        except SQLAlchemyError:
            log.exception("Cannot store activity")
            db.rollback()
            return
        await asyncio.sleep(0)


def _seen(routes: Mapping[str, Mapping[str, Any]], log: logging.Logger) -> Iterator[Seen]:
    for path, route in routes.items():
        data = route["data"]
        if "user" not in data or "server_name" not in data or "last_activity" not in data:
            continue  # not a server of a user
        try:
            when = datetime.fromisoformat(data["last_activity"]).astimezone(UTC).replace(tzinfo=None)
        except ValueError as error:
            log.warning("The proxy does not say when %s was used: %s", path, error)
            continue
        yield data["user"], data["server_name"], when


def _store(db: Session, batch: Sequence[Seen]) -> None:
    """A time that is later than the one in the database takes its place. What is not in the database is left out:
    it has just been deleted."""
    names = {name for name, _, _ in batch}
    users = db.query(orm.User).filter(orm.User.name.in_(names)).options(selectinload(orm.User._orm_spawners))
    known = {user.name: user for user in users}
    for name, server_name, when in batch:
        user = known.get(name)
        if user is None or (spawner := user.orm_spawners.get(server_name)) is None:
            continue
        for row in (user, spawner):
            if row.last_activity is None or row.last_activity < when:
                row.last_activity = when
    db.commit()
