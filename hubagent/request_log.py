"""What of a request a log may show, for hub and guest alike.

JupyterHub writes down the headers of a request that ended in 500, on both sides, and hides but two of them. Tornado
writes down the address of one that raised an exception, and hides nothing.
"""

from __future__ import annotations

import json
import logging
import re
from typing import Final

HIDDEN: Final = "[secret]"

_LOGGERS: Final = ("tornado.access", "tornado.application", "tornado.general")

_SHOWN: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "accept-language",
        "cache-control",
        "connection",
        "content-length",
        "content-type",
        "host",
        "origin",
        "pragma",
        "referer",
        "sec-fetch-dest",
        "sec-fetch-mode",
        "sec-fetch-site",
        "upgrade",
        "user-agent",
        "x-forwarded-for",
        "x-forwarded-host",
        "x-forwarded-port",
        "x-forwarded-proto",
        "x-real-ip",
        "x-scheme",
    }
)
"""A header of another name may hold anything: an identity provider's token, a key of the user's own program."""

_PARAMETER: Final = re.compile(
    r"""([?&][^=&\s'"]*(?:token|auth|key|code|state|xsrf|password|secret)[^=&\s'"]*=)[^&\s'"]+""",
    re.IGNORECASE,
)


class HideSecrets(logging.Filter):
    """Lets every record pass, without the secrets of the request that it tells of."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        shown = hide(text)
        if shown != text:
            record.msg, record.args = shown, ()
        return True


def install() -> None:
    """Hide secrets in what this process logs of requests."""
    for name in _LOGGERS:
        logging.getLogger(name).addFilter(HideSecrets())


def hide(text: str) -> str:
    """One message: the values of parameters by their names, and of all headers but well-known ones."""
    return _PARAMETER.sub(rf"\1{HIDDEN}", _headers(text))


def _headers(text: str) -> str:
    """JupyterHub logs headers as a message of their own, a JSON object."""
    if not text.startswith("{"):
        return text
    try:
        headers = json.loads(text)
    except (ValueError, RecursionError):
        return text
    return json.dumps(
        {name: value if name.lower() in _SHOWN else HIDDEN for name, value in headers.items()}, indent=2
    )
