"""Why there is no certificate, in words for a person, and how long to wait because of it. Pure."""

from __future__ import annotations

import datetime
import email.utils
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hubagent.backoff import Backoff
from hubagent.certificates.messages import AcmeProblem, Answer
from hubagent.layout import CERTBOT
from hubagent.text import clean

USUAL: Final = Backoff(first_s=15 * 60.0, most_s=24 * 3600.0)
"""Let's Encrypt takes five failed validations of a name an hour; a person who has put things right does not wait
(`hubagent apply`)."""
_LIMITED: Final = Backoff(first_s=3600.0, most_s=24 * 3600.0)
_HERE: Final = Backoff(first_s=60.0, most_s=600.0)
"""What is only a matter of this machine, and costs the authority nothing."""
MOST_S: Final = 8 * 86400.0
"""However long an authority says: its longest limit is of a week."""

_DETAIL_MAX: Final = 300
_UNTIL: Final = re.compile(r"retry after (\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d)")

_ANOTHER: Final = (
    "on port 80 of {name} another server than this one answered; let the DNS entry (A, and AAAA if there is one) have"
    " this server's address, or let the proxy in front pass on /.well-known/acme-challenge/"
)
_WORDS: Final[Mapping[str, str]] = {
    "dns": "it found no address for {name} in the DNS; create the DNS entry, or correct `host`",
    "connection": "it could not reach port 80 of {name}; open that port to the world in every firewall and router, and"
    " see to it that the DNS entry has this server's address",
    "unauthorized": _ANOTHER,
    "incorrectResponse": _ANOTHER,
    "tls": "{name} sends from port 80 to a server whose TLS does not work; let it answer on port 80 itself",
    "caa": "a CAA record in the DNS forbids it to certify {name}; add a CAA record that names this authority, such as"
    ' 0 issue "letsencrypt.org", or remove the records',
    "rejectedIdentifier": "it certifies no name such as {name}; `host` must be a name in the public DNS",
    "rateLimited": "it takes no more requests for now",
    "invalidContact": "it refuses the e-mail address; correct tls.email, or remove the line",
    "invalidEmail": "it refuses the e-mail address; correct tls.email, or remove the line",
    "unsupportedContact": "it refuses the e-mail address; correct tls.email, or remove the line",
    "externalAccountRequired": "it only serves accounts that were made with it beforehand, which hubagent cannot use;"
    " choose another tls.acme_directory, or mode: files",
    "accountDoesNotExist": "it no longer knows this server's account; the next try makes a new one",
    "userActionRequired": "it wants its new terms to be agreed to; do what it says, then hubagent apply",
    "serverInternal": "it has a fault of its own",
}
_SAME_FOR_ALL: Final = "it refused ({kind})"
_HERE_ALONE: Final = ("accountDoesNotExist",)


@dataclass(frozen=True, slots=True)
class Fault:
    """`again_at_s` is when to try again; `is_limit`: not before, whoever asks."""

    message: str
    again_at_s: float
    is_limit: bool = False


def fault(answer: Answer, *, names: tuple[str, ...], directory: str, failures: int, now_s: float) -> Fault:
    """Of an answer without a certificate, after so many failures in a row, this one included."""
    if answer.is_missing:
        message = "certbot is not installed, and gets the certificate: apt install certbot"
        return Fault(message, now_s + _HERE.delay_s(failures))
    if answer.problems:
        return _refused(answer.problems[-1], names, directory, failures, now_s)
    return Fault(_without_answer(answer.said, directory), now_s + USUAL.delay_s(failures))


def here(message: str, *, failures: int, now_s: float) -> Fault:
    """Something on this machine kept the try from being made."""
    return Fault(message, now_s + _HERE.delay_s(failures))


def in_vain(message: str, *, failures: int, now_s: float) -> Fault:
    """The authority was asked, or may have been: that it certified is counted there, whatever became of it here."""
    return Fault(message, now_s + USUAL.delay_s(failures))


def authority(directory: str) -> str:
    """Who it is, in words."""
    host = directory.removeprefix("https://").partition("/")[0].partition(":")[0]
    return "Let's Encrypt" if host.endswith("api.letsencrypt.org") else host


def _refused(
    problem: AcmeProblem, names: tuple[str, ...], directory: str, failures: int, now_s: float
) -> Fault:
    detail = clean(problem.detail)
    words = _WORDS.get(problem.kind, _SAME_FOR_ALL).format(
        name=clean(problem.name or ", ".join(names))[:253], kind=clean(problem.kind)[:60]
    )
    said = f" (it says: {detail[:_DETAIL_MAX]}{'…' if len(detail) > _DETAIL_MAX else ''})" if detail else ""
    message = f"{authority(directory)}: {words}{said}"
    told_s = _told(problem, now_s)
    if problem.kind == "rateLimited":
        again_s = told_s or now_s + _LIMITED.delay_s(failures)
        return Fault(message, min(again_s, now_s + MOST_S), is_limit=True)
    backoff = _HERE if problem.kind in _HERE_ALONE else USUAL
    again_s = max(now_s + backoff.delay_s(failures), told_s or 0.0)
    return Fault(message, min(again_s, now_s + MOST_S))


def _told(problem: AcmeProblem, now_s: float) -> float | None:
    """When the authority says to come again."""
    if re.fullmatch("[0-9]{1,9}", problem.retry_after):
        return now_s + int(problem.retry_after)
    try:
        return email.utils.parsedate_to_datetime(problem.retry_after).timestamp()
    except (TypeError, ValueError, OverflowError):
        pass
    found = _UNTIL.search(problem.detail)
    try:
        when = datetime.datetime.fromisoformat(found[1]) if found else None
    except ValueError:
        return None
    return when.replace(tzinfo=datetime.UTC).timestamp() if when else None


def _without_answer(said: str, directory: str) -> str:
    """The authority refused nothing: it was not reached, or certbot failed. OpenSSL's words for what is wrong with a
    certificate have been these for decades."""
    who, said = authority(directory), clean(said)
    if "certificate is not yet valid" in said or "certificate has expired" in said:
        return f"{who}: by this machine's clock its own certificate is not valid; see timedatectl, and set the clock"
    if "CERTIFICATE_VERIFY_FAILED" in said:
        return (
            f"{who}: this machine does not trust its server; install its root certificate in"
            " /usr/local/share/ca-certificates and run update-ca-certificates"
        )
    last = f": {said[:_DETAIL_MAX]}" if said else ""
    return (
        f"{who} gave no answer that certbot understood{last}; is it reachable? journalctl -u {CERTBOT} -n 50"
    )
