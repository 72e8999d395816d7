"""The terminal of whoever types a command: what is said there, and that nothing foreign steers it."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from typing import Final, NoReturn

from hubagent.errors import HubagentError
from hubagent.log_priority import PriorityFormatter
from hubagent.text import clean, clean_lines

OK: Final = 0
WRONG: Final = 1
USAGE: Final = 2
FAULT: Final = 70
NOT_NOW: Final = 75
"""Exit codes; main.py says when which."""


class Parser(argparse.ArgumentParser):
    """Quotes what was typed, or came by a file's name, without its control characters."""

    def error(self, message: str) -> NoReturn:
        super().error(clean(message))


def complain(words: object) -> None:
    """On standard error."""
    print(clean_lines(str(words)), file=sys.stderr)


def show_log() -> None:
    """Warnings and errors that are logged go to standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(PriorityFormatter("%(message)s"))
    logging.getLogger().addHandler(handler)


def has_colour() -> bool:
    return sys.stdout.isatty() and "NO_COLOR" not in os.environ


def width() -> int:
    """Columns."""
    return os.get_terminal_size().columns if sys.stdout.isatty() else 100


def require_root(command: str) -> None:
    if os.geteuid() != 0:
        raise HubagentError(f"{command} needs root; use sudo hubagent {command}")
