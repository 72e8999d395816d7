"""Can the hub's database be read and written now? Asked on a connection of its own, beside the hub's event loop."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from sqlalchemy import text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import SQLAlchemyError

from hubagent.hub.database import engine_of, reason_of

ANSWERS_S: Final = 3.0
"""So long a database may take (seconds)."""

_LOCKED_S: Final = 0.5  # the hub's own commits take milliseconds

_READ: Final = text("select count(*) from (select id from users limit 1) as one")
_READ_ONLY: Final = text("show transaction_read_only")


class DatabaseHealth:
    """`problem` may be asked by many at once; the database is asked once at a time."""

    def __init__(self, url: str) -> None:
        self._url = url
        self._running: asyncio.Future[str] | None = None
        self._opened: tuple[int, int] | None = None  # device and inode of SQLite's file, as the hub found it

    async def problem(self) -> str:
        """Why the hub cannot work with its database, on one line; empty when it can."""
        if self._running is None or self._running.done():
            self._running = asyncio.ensure_future(asyncio.to_thread(self._problem))
        done, _ = await asyncio.wait({self._running}, timeout=ANSWERS_S)
        # The hub's own work waits for its database as well, and with it this: then both have come to pass.
        if done or self._running.done():
            return self._running.result()
        return f"the database has not answered for {ANSWERS_S:.0f} s"

    def _problem(self) -> str:
        place = make_url(self._url)
        try:
            if place.get_backend_name() == "sqlite":
                return self._sqlite(place)
            with engine_of(place).connect() as connection:
                connection.execute(_READ)
                is_read_only = connection.execute(_READ_ONLY).scalar() == "on"
        except (SQLAlchemyError, OSError) as error:
            return reason_of(error)
        return "the database is read-only" if is_read_only else ""

    def _sqlite(self, place: URL) -> str:
        """Writes a number that is there already, which takes a lock, a page of the file and room on the disk."""
        path = Path(str(place.database))
        try:
            facts = path.stat()
        except FileNotFoundError:
            return f"{path} was removed while the hub was running: what is written now is lost when it stops"
        if self._opened not in (None, (facts.st_dev, facts.st_ino)):
            return f"{path} was replaced while the hub was running: what is written now is lost when it stops"
        self._opened = facts.st_dev, facts.st_ino
        with engine_of(place, locked_s=_LOCKED_S).connect() as connection:
            connection.execute(_READ)
            version = connection.exec_driver_sql("PRAGMA user_version").scalar()
            connection.exec_driver_sql(f"PRAGMA user_version={int(version or 0)}")
            connection.commit()
        return ""
