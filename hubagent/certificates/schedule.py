"""When to ask for a certificate: a pure function of what is held and how the last try ended."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import Final

from hubagent.certificates.faults import MOST_S
from hubagent.codec import Codec
from hubagent.config.model import Config, TlsMode
from hubagent.ports import CertificateFacts

LETS_ENCRYPT: Final = "https://acme-v02.api.letsencrypt.org/directory"

_RENEWED_AT: Final = 1 / 3
"""Of the lifetime that is left: as authorities advise, for certificates of six days as for those of ninety."""
_SPREAD: Final = 1 / 30
"""Of the lifetime: so that servers that were set up together do not all come at once."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the configuration in force asks for."""

    names: tuple[str, ...]
    directory: str
    email: str | None = None


@dataclass(frozen=True, slots=True)
class Tries:
    """How the last try ended. Kept, so that an agent that is started again and again does not ask again and again."""

    wanted: Wanted
    at_s: float
    failures: int = 0  # in a row, the last one included
    failure: str = ""  # why there is no certificate; empty when there is one
    again_at_s: float = 0.0  # not before, after a failure
    is_limit: bool = False  # not before, even when a person asks
    fingerprint: str = ""  # of the last certificate that came from wanted.directory


TRIES: Final = Codec(Tries, strict=False, mark=("version", 1))


def wanted(config: Config | None) -> Wanted | None:
    """None where no authority is asked."""
    if config is None or config.tls.mode is not TlsMode.LETSENCRYPT or config.host is None:
        return None
    return Wanted((config.host,), config.tls.acme_directory or LETS_ENCRYPT, config.tls.email)


def next_try_s(
    wish: Wanted, held: CertificateFacts | None, last: Tries | None, *, now_s: float, asked: bool = False
) -> float:
    """When to ask the authority; what is not after `now_s` is due. `asked`: a person wants what failed to be tried
    again now."""
    due_s = 0.0 if held is None or _is_of_another(wish, held, last) else renewal_s(held)
    if last is None or not last.failures or last.wanted != wish or (asked and not last.is_limit):
        return due_s
    # A clock that was set back must not make it wait for years.
    return max(due_s, min(last.again_at_s, now_s + MOST_S))


def renewal_s(facts: CertificateFacts) -> float:
    """The same for the same certificate, and another for others."""
    lifetime_s = facts.not_after_s - facts.not_before_s
    share = int(hashlib.sha256(facts.fingerprint_sha256.encode()).hexdigest()[:8], 16) / 2**32
    return facts.not_after_s - lifetime_s * (_RENEWED_AT - _SPREAD * share)


def _is_of_another(wish: Wanted, held: CertificateFacts, last: Tries | None) -> bool:
    """Whether it is known to come from another authority than today's."""
    return (
        last is not None
        and last.fingerprint == held.fingerprint_sha256
        and last.wanted.directory != wish.directory
    )
