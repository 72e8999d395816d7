"""The command `status`, which reads what the agent reported last, and how every command ends that makes a status."""

from __future__ import annotations

import argparse
import json

from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.machine.clock import SystemClock
from hubagent.cli import console
from hubagent.cli.status_report import status_text
from hubagent.errors import TemporaryError
from hubagent.layout import Layout
from hubagent.ports import FileStore
from hubagent.state.status import Result, Status
from hubagent.state.status_json import last_status, to_json
from hubagent.text import clean

_BAD = (Result.FAILED, Result.ROLLED_BACK, Result.REJECTED)


def status(arguments: argparse.Namespace, layout: Layout) -> int:
    console.require_root("status")
    reported = last_status(LocalFileStore(), layout)
    if reported is None:
        raise TemporaryError("the agent has not reported yet; see systemctl status hubagent")
    code = show(reported, as_json=arguments.json)
    if not arguments.json:
        _name_first_logins(layout)
    return code


def show(status: Status, *, as_json: bool) -> int:
    """Prints it; returns the exit code."""
    if as_json:
        print(json.dumps(to_json(status), indent=1))
    else:
        print(
            status_text(
                status, now_s=SystemClock().time(), width=console.width(), colour=console.has_colour()
            ),
            end="",
        )
    return exit_code(status)


def exit_code(status: Status) -> int:
    return console.WRONG if status.degraded or status.result in _BAD else console.OK


def _name_first_logins(layout: Layout) -> None:
    """The passwords are for a command that is called on purpose."""
    names = waiting_logins(LocalFileStore(), layout)
    if names:
        print(f"\nOne-time passwords are waiting for {', '.join(map(clean, names))}: hubagent first-login")


def waiting_logins(files: FileStore, layout: Layout) -> tuple[str, ...]:
    """Whose one-time passwords wait, without looking at them."""
    return tuple(name for name in files.list_dir(layout.one_time_passwords) if not name.startswith("."))
