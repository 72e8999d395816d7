"""What makes an account the same account whatever its user is called (docs/adr/0018)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC
from typing import Any

from hubagent import wire


@dataclass(frozen=True, slots=True)
class Identity:
    account: str  # 32 hex digits
    since_s: float  # unix time


def identity(user: Any) -> Identity:
    """Of a user of the hub, as the ORM or JupyterHub's wrapper has it.

    Neither a new name nor a restart, a backup, an upgrade of the schema or a copy into another database changes what it
    is made from. The number alone would not do: SQLite gives that of the last user who was deleted away again.
    """
    row = getattr(user, "orm_user", None) or user
    # As JupyterHub writes it: in UTC and without saying so, in microseconds; the hub fills it in where it is missing.
    created = row.created
    moment = created.isoformat(timespec="microseconds") if created is not None else ""
    return Identity(
        hashlib.sha256(f"{row.id} {moment}".encode()).hexdigest()[:32],
        created.replace(tzinfo=UTC).timestamp() if created is not None else 0.0,
    )


def person(user: Any) -> wire.Person:
    known = identity(user)
    return wire.Person(str(user.name), known.account, known.since_s)
