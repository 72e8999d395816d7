"""The priority of what is logged, for the journal: `<4>` before every line of a warning, as sd-daemon(3) has it.

journald takes it off again and keeps it, so that `journalctl -p warning` finds the line. Whatever else reads the log
(a terminal, a file, a pipe) gets the text alone. Standard library only: agent, helper and hub write by it.
"""

from __future__ import annotations

import logging
import os
import re
from typing import Final

_PRIORITIES: Final = (
    (logging.CRITICAL, 2),
    (logging.ERROR, 3),
    (logging.WARNING, 4),
    (logging.INFO, 6),
)
"""The levels of syslog(3), by the least level of Python's that has it; below is 7, debug."""

_STEERING: Final = re.compile("[\0-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]")

_MOST: Final = 8192
"""Characters. journald ends a line after 48 KiB (LineMax= of journald.conf(5)), and the rest would have no priority."""


STREAM: Final = "JOURNAL_STREAM"
"""The variable by which systemd names the file that leads to the journal (systemd.exec(5))."""


def is_journal(descriptor: int = 2) -> bool:
    """Whether journald reads what is written to `descriptor`."""
    device, _, inode = os.environ.get(STREAM, "").partition(":")
    try:
        here = os.fstat(descriptor)
    except OSError:
        return False
    return (device, inode) == (str(here.st_dev), str(here.st_ino))


def marked(text: str, level: int) -> str:
    """Each line of `text`, which has no newline at its end, with the priority of logging's `level`."""
    priority = next((number for least, number in _PRIORITIES if level >= least), 7)
    lines = escaped(text).split("\n")
    return "\n".join(f"<{priority}>{piece}" for line in lines for piece in _pieces(line))


def escaped(text: str) -> str:
    """Control characters but tab and newline are written out, and so is what turns the direction of writing: journalctl
    shows no line that has one, for journald a NUL ends a line, and an escape sequence would steer a terminal."""
    return _STEERING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)


def _pieces(line: str) -> list[str]:
    return [line[start : start + _MOST] for start in range(0, len(line), _MOST)] or [""]


class PriorityFormatter(logging.Formatter):
    """A formatter whose lines have their priority where `descriptor` leads to the journal; before another formatter
    in a list of bases it gives that one's lines theirs."""

    descriptor = 2
    has_colours = False
    """Whether these lines have colours on a terminal; otherwise nothing in them steers one."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if is_journal(self.descriptor):
            return marked(text, record.levelno)
        return text if self.has_colours else escaped(text)
