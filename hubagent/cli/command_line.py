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
    Verb.KEEP: "give a home that waits to the present account of its name",
    Verb.ARCHIVE: "make a home that nobody has one file below /var/lib/hubagent/archive, and remove its volume",
    Verb.SET_ASIDE: "let the present account of the name have a new home, and leave this one for nobody",
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
        "75 not now, try again. See hubagent(8) and hubagent.yaml(5).",
    )
    whole.add_argument("--version", action="version", version=f"hubagent {hubagent.__version__}")
    commands = whole.add_subparsers(metavar="COMMAND", required=True)

    def add(command: Command, words: str) -> argparse.ArgumentParser:
        sub = commands.add_parser(command.value, help=words, description=words)
        sub.set_defaults(command=command)
        return sub

    add(Command.RUN, "be the agent (systemd does this: hubagent.service)")
    check = add(Command.CHECK, "say whether a configuration file is valid; changes nothing")
    check.add_argument(
        "file", nargs="?", type=Path, help="another file than /etc/hubagent.yaml; - for standard input"
    )
    plan = add(Command.PLAN, "show what apply would do now, and what users would notice")
    plan.add_argument(
        "--new-tokens", action="store_true", help="as if the tokens were to be replaced, see apply"
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
    _add_json(add(Command.STATUS, "show how everything is"))
    login = add(
        Command.FIRST_LOGIN, "show the one-time passwords of new admins; each is gone once it was delivered"
    )
    login.add_argument("name", nargs="*", help="of these admins alone")
    login.add_argument(
        "--new",
        action="store_true",
        help=f"make new ones for the admins named; restarts the hub: {Level.HUB_RESTART.notice}",
    )
    _add_json(login)
    rollback = add(Command.ROLLBACK, "go back to an earlier generation, and stay until the file changes")
    rollback.add_argument("generation", nargs="?", type=int, help="which one; without it, the one before")
    _add_json(rollback)
    _add_json(add(Command.DOCTOR, "check the whole installation; every finding with its remedy"))
    _add_decisions(add(Command.HOMES, "list users' homes and whose they are; decide about those that wait"))
    backup = add(
        Command.BACKUP,
        "write configuration, hub database, secrets and users' homes into one file, while everything runs",
    )
    backup.add_argument("file", help="a new file; - for standard output")
    backup.add_argument("--without-homes", action="store_true", help="leave out users' homes")
    backup.add_argument("--overwrite", action="store_true", help="replace the file if it is there")
    _add_json(backup)
    restore = add(Command.RESTORE, "make this machine the hub that a backup was made of")
    restore.add_argument("file", type=Path, help="a file that backup has written")
    restore.add_argument(
        "--replace",
        action="store_true",
        help="move aside users and homes that are here, and end their servers",
    )
    restore.add_argument(
        "--check", action="store_true", help="only say whether the file is whole and what is in it"
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
