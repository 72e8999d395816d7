"""What an authority has said, out of certbot's log. Pure.

certbot tells people what went wrong in words that change, and in some faults of its own not at all. Its log has each
answer as it came: headers, an empty line, and JSON with a problem's type, which is a standard's (RFC 7807, RFC 8555).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any, Final

from hubagent.certificates.messages import AcmeProblem

_URN: Final = "urn:ietf:params:acme:error:"
_RETRIED: Final = "badNonce"  # by certbot itself, at once (RFC 8555, 6.5)
_MOST: Final = 5
_RETRY_AFTER: Final = re.compile(r"^Retry-After:[ \t]*(.+?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
_BODY: Final = re.compile(r"^\{", re.MULTILINE)


def problems(log: str) -> tuple[AcmeProblem, ...]:
    """Each once, the last ones that were said."""
    found: dict[AcmeProblem, None] = {}
    decoder = json.JSONDecoder()
    end = 0
    for body in _BODY.finditer(log):
        if body.start() < end:
            continue
        before, end = log[end : body.start()], body.start()
        try:
            value, end = decoder.raw_decode(log, body.start())
        except (ValueError, RecursionError):
            continue
        headers = _RETRY_AFTER.findall(before.rpartition("\nHTTP ")[2])
        for problem in _in(value, "", headers[-1] if headers else ""):
            found.pop(problem, None)
            found[problem] = None
    return tuple(found)[-_MOST:]


def _in(value: Any, name: str, retry_after: str) -> Iterator[AcmeProblem]:
    if isinstance(value, list):
        for one in value:
            yield from _in(one, name, retry_after)
    if not isinstance(value, dict):
        return
    identifier = value.get("identifier")
    if isinstance(identifier, dict):
        name = str(identifier.get("value", ""))
    inner = [problem for one in value.values() for problem in _in(one, name, retry_after)]
    kind = value.get("type")
    if inner:  # a compound problem says less than those that it is made of
        yield from inner
    elif isinstance(kind, str) and kind.startswith(_URN) and kind != _URN + _RETRIED:
        yield AcmeProblem(kind.removeprefix(_URN), str(value.get("detail", "")), name, retry_after)
