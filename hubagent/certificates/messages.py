"""What the agent and certbot's unit tell each other, as files that systemd opens for the unit.

So certbot, which talks to the world, reads nothing of the agent's and the agent reads nothing in certbot's folders.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from hubagent.codec import Codec

MAX_REQUEST_BYTES: Final = 64 * 1024
MAX_ANSWER_BYTES: Final = 1024**2


@dataclass(frozen=True, slots=True)
class Request:
    """A certificate to get. No secret: the key stays with the agent."""

    csr: str  # PKCS #10, PEM
    directory: str  # of the authority
    email: str | None
    webroot: str  # folder that is served on port 80


@dataclass(frozen=True, slots=True)
class AcmeProblem:
    """What an authority says is wrong (RFC 8555, 6.7)."""

    kind: str  # the last part of urn:ietf:params:acme:error:…
    detail: str = ""
    name: str = ""  # that it is about
    retry_after: str = ""  # the header as it came: seconds or a date (RFC 9110, 10.2.3)


@dataclass(frozen=True, slots=True)
class Answer:
    """How it ended: `chain` holds the certificate, or the rest why there is none."""

    chain: str = ""  # PEM, the certificate first
    problems: tuple[AcmeProblem, ...] = ()
    said: str = ""  # certbot's last line
    is_missing: bool = False  # there is no certbot


REQUEST: Final = Codec(Request, strict=False)
ANSWER: Final = Codec(Answer, strict=False)
