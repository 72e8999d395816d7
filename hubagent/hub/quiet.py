"""The agent asks for the login page at every check; the log is for people's requests."""

from __future__ import annotations

import logging
import re
from typing import Final

_AGENTS: Final = re.compile(
    r"[23]\d\d [A-Z]+ (?:/hub/api/hubagent/\S* |\S+[?&]from=hubagent(?:&\S*)? (?:-> \S+ )?\([^()]*@127\.0\.0\.1\))"
)
"""What went well of what the agent asked; nginx tells the hub who came from this machine."""


class Quiet(logging.Filter):
    """Drops these lines of JupyterHub's log of requests, and no others."""

    def filter(self, record: logging.LogRecord) -> bool:
        return record.levelno > logging.INFO or _AGENTS.match(record.getMessage()) is None


def install() -> None:
    logging.getLogger("tornado.access").addFilter(Quiet())
