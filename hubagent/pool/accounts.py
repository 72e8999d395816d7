"""Who asks for a home: an account of the hub, which stays the same when its user is renamed."""

from __future__ import annotations

from dataclasses import dataclass

from hubagent import wire


@dataclass(frozen=True, slots=True)
class Account:
    """`id` is empty when an older hub asks, which does not tell accounts of one name apart."""

    user: str  # what it is called now
    id: str = ""  # 32 hex digits
    created_s: float = 0.0  # unix time; 0 when nobody wrote that down

    @classmethod
    def of(cls, request: wire.Claim | wire.Create | wire.Expect | wire.Person) -> Account:
        return cls(request.user, request.account, request.account_since_s)
