"""A hub with a service that may do everything, and what its log says of failures of ours."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from running import CONFIG, RunningHub

TOKEN: Final = "hostile-token-hostile-token"

PASSING_ON: Final = (
    "server_handlers.py",
    "user_api.py",
    "interruption.py",
    "application.py",
    "database_failure.py",
)
"""Modules of ours that call what JupyterHub does itself: it may fail there, and is compared."""


@contextmanager
def running(folder: Path, program: str, config: Path = CONFIG) -> Iterator[RunningHub]:
    """The service `tester` has TOKEN. No agent is here."""
    hub = RunningHub(folder, program=program, config=config)
    hub.settings["signup"] = "open"
    scopes = ["admin:users", "admin:groups", "admin:servers", "admin:services", "shares", "tokens", "list:users",
              "list:groups", "list:services", "read:hub", "read:metrics", "read:roles"]  # fmt: skip
    hub.settings["traits"] = {
        "JupyterHub": {
            "allow_named_servers": True,
            "services": [{"name": "tester", "api_token": TOKEN}],
            "load_roles": [{"name": "tester", "services": ["tester"], "scopes": scopes}],
        }
    }
    try:
        hub.start()
        yield hub
    finally:
        hub.stop()


def faults(log: str) -> list[str]:
    """The tracebacks that pass through code of ours, apart from that which only passes on, and from starts: no agent is
    here."""
    found = []
    for traceback in re.split(
        r"(?<!exception:\n\n)(?<!occurred:\n\n)(?=^Traceback)", log, flags=re.MULTILINE
    )[1:]:
        if "AgentAwayError: no answer at " in traceback:
            continue
        frames = re.findall(r'^ +File "[^"]*/hubagent/([^"]*)"', traceback, flags=re.MULTILINE)
        if any(not frame.endswith(PASSING_ON) for frame in frames):
            found.append(traceback[-3000:])
    return found
