"""The grammar of the command line: every command with its arguments, as `hubagent --help` shows them."""

from __future__ import annotations

import argparse
import enum
from pathlib import Path
from typing import Final

import hubagent
from hubagent.cli import console
from hubagent.ladder import Level
from hubagent.ownership.requests import Verb

_DECISIONS: Final = {
    Verb.KEEP: "give a waiting home to the current account of that name",
    Verb.ARCHIVE: "archive a home that nobody uses as a file in /var/lib/hubagent/archive, and remove its volume",
    Verb.SET_ASIDE: "give the current account of that name a new home, and keep this one for nobody",
}


class Command(enum.Enum):
    """What is carried out. Values are what is typed for it."""

    RUN = "run"
    CHECK = "check"
    PLAN = "plan"
    APPLY = "apply"
    STATUS = "status"
    FIRST_LOGIN = "first-login"
    ROLLBACK = "rollback"
    DOCTOR = "doctor"
    HOMES = "homes"
    DECIDE_HOMES = "homes DECISION"
    BACKUP = "backup"
    RESTORE = "restore"


def parser() -> argparse.ArgumentParser:
    """Its result names the Command as `command`."""
    whole = console.Parser(
        prog="hubagent",
        description="Keeps a multi-user Jupyter and Pluto server as /etc/hubagent.yaml says.",
        epilog="Exit codes: 0 fine; 1 something is wrong; 2 the configuration or command line is wrong; "
        "70 a fault of hubagent's own; 75 not now, try again. See hubagent(8) and hubagent.yaml(5).",
    )
    whole.add_argument("--version", action="version", version=f"hubagent {hubagent.__version__}")
    whole.add_argument(
        "--traceback", action="store_true", help="show where in hubagent a fault of its own came up"
    )
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    def add(command: Command, words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(command.value, help=words, description=words)
        sub.set_defaults(command=command)
        return sub

    add(Command.RUN, "run the agent (systemd does this: hubagent.service)")
    check = add(Command.CHECK, "check a configuration file; changes nothing")
    check.add_argument(
        "file", nargs="?", type=Path, help="a file other than /etc/hubagent.yaml; - for standard input"
    )
    plan = add(Command.PLAN, "show what apply would do now, and what users would notice")
    plan.add_argument(
        "--new-tokens", action="store_true", help="include the replacement of tokens, see apply"
    )
    _add_json(plan)
    apply = add(Command.APPLY, "apply the configuration now and wait for the result")
    apply.add_argument(
        "--allow-disruption",
        action="store_true",
        help="also take steps that drop websockets of running notebooks",
    )
    apply.add_argument(
        "--new-tokens",
        action="store_true",
        help="replace the tokens between agent, hub and proxy; needs --allow-disruption",
    )
    _add_json(apply)
    _add_json(add(Command.STATUS, "show the state of everything"))
    login = add(
        Command.FIRST_LOGIN,
        "show the one-time passwords of new admins; each is deleted once it was delivered",
    )
    login.add_argument("name", nargs="*", help="only of these admins")
    login.add_argument(
        "--new",
        action="store_true",
        help=f"create new ones for the admins named; restarts the hub: {Level.HUB_RESTART.notice}",
    )
    _add_json(login)
    rollback = add(
        Command.ROLLBACK, "go back to an earlier generation, and stay there until the file changes"
    )
    rollback.add_argument("generation", nargs="?", type=int, help="which one (default: the previous one)")
    _add_json(rollback)
    _add_json(add(Command.DOCTOR, "check the whole installation, with a remedy for each problem"))
    _add_decisions(
        add(Command.HOMES, "list users' homes and their owners; decide about those that are waiting")
    )
    backup = add(
        Command.BACKUP,
        "write configuration, hub database, secrets and users' homes into one file, while everything runs",
    )
    backup.add_argument("file", help="a new file; - for standard output")
    backup.add_argument("--without-homes", action="store_true", help="leave out users' homes")
    backup.add_argument("--overwrite", action="store_true", help="replace the file if it is there")
    _add_json(backup)
    restore = add(Command.RESTORE, "restore a backup: turn this machine into the hub it was made from")
    restore.add_argument("file", type=Path, help="a file written by hubagent backup")
    restore.add_argument(
        "--replace",
        action="store_true",
        help="move the users and homes on this machine aside, and stop their servers",
    )
    restore.add_argument(
        "--check", action="store_true", help="only check that the file is complete, and show what is in it"
    )
    _add_json(restore)
    return whole


def _add_decisions(homes: argparse.ArgumentParser) -> None:
    _add_json(homes)
    verbs = homes.add_subparsers(metavar="DECISION")
    for verb, words in _DECISIONS.items():
        sub = verbs.add_parser(verb.value, help=words, description=words)
        sub.add_argument("names", metavar="NAME", nargs="+", help="a user, or a volume as listed")
        _add_json(sub)
        sub.set_defaults(command=Command.DECIDE_HOMES, verb=verb)


def _add_json(command: argparse.ArgumentParser) -> None:
    command.add_argument("--json", action="store_true", help="print JSON")
