"""The command line: what was typed goes to the command's own module, and what it raises becomes an exit code.

Exit codes: 0 done, nothing wrong · 1 done, but something is wrong (degraded, rolled back, failed check) ·
2 the configuration or the command line is wrong · 75 not now: another hubagent is at work, or the
machine does not answer, or is too busy and is tried again (EX_TEMPFAIL of sysexits(3)) · 70 a fault of hubagent's
own (EX_SOFTWARE).

A command's module is imported when that command was typed, so that what only reads a file does not pay for D-Bus,
Docker, nginx's templates and cryptography, which take a second of processor time.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import traceback
from collections.abc import Callable, Sequence

from hubagent.cli import console
from hubagent.cli.command_line import Command, parser
from hubagent.errors import BusyError, ConfigError, HubagentError, TemporaryError, UsageError
from hubagent.layout import Layout
from hubagent.text import clean


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command; returns its exit code."""
    arguments = parser().parse_args(argv)
    if arguments.command is not Command.RUN:
        console.show_log()
    try:
        return _function(arguments.command)(arguments, Layout())
    except ConfigError as error:
        console.complain(error)
        return console.USAGE
    except UsageError as error:
        console.complain(f"hubagent: {error}")
        return console.USAGE
    except (BusyError, TemporaryError) as error:
        console.complain(f"hubagent: {error}")
        return console.NOT_NOW
    except HubagentError as error:
        console.complain(f"hubagent: {error}")
        return console.WRONG
    except KeyboardInterrupt:
        return 128 + signal.SIGINT
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 128 + signal.SIGPIPE
    except Exception as error:  # what nobody thought of; its text may be anybody's
        told = clean(f"{type(error).__name__}: {error}")
        console.complain(
            f"hubagent: a fault of hubagent's own, please report it: {told} (hubagent --traceback shows where)"
        )
        if arguments.traceback:
            console.complain(traceback.format_exc())
        return console.FAULT


def _function(command: Command) -> Callable[[argparse.Namespace, Layout], int]:
    match command:
        case Command.STATUS:
            from hubagent.cli import status

            return status.status
        case Command.CHECK:
            from hubagent.cli import check

            return check.check
        case Command.FIRST_LOGIN:
            from hubagent.cli import first_login

            return first_login.first_login
        case Command.HOMES | Command.DECIDE_HOMES:
            from hubagent.cli import homes

            return homes.list_homes if command is Command.HOMES else homes.decide_homes
        case Command.BACKUP | Command.RESTORE:
            from hubagent.cli import backup

            return backup.backup if command is Command.BACKUP else backup.restore
        case Command.RUN | Command.PLAN | Command.APPLY | Command.ROLLBACK | Command.DOCTOR:
            from hubagent.cli import agent_commands

            return agent_commands.COMMANDS[command]
