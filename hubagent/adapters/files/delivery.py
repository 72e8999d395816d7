"""Handing something over that is shown once: it counts as delivered when it was taken, not when it was sent."""

from __future__ import annotations

import fcntl
import os
import select
import stat
import struct
import termios
import time
from typing import Final

from hubagent.errors import DeliveryError

_TAKEN_WITHIN_S: Final = 60.0
_POLL_S: Final = 0.02


def deliver(descriptor: int, content: bytes, *, within_s: float = _TAKEN_WITHIN_S) -> None:
    """Write all of it. A file must have it on disk, a pipe's or socket's other end must have read it within that time.

    Raises DeliveryError when it may not have arrived: nobody reads, the disk is full, or it goes to /dev/null.
    """
    try:
        mode = os.fstat(descriptor).st_mode
        _write_all(descriptor, content)
        if stat.S_ISCHR(mode) and not os.isatty(descriptor):
            raise DeliveryError("standard output is discarded")
        if stat.S_ISREG(mode):
            os.fsync(descriptor)
        elif stat.S_ISFIFO(mode):
            _wait_until_read(descriptor, termios.FIONREAD, within_s)
        elif stat.S_ISSOCK(mode):
            _wait_until_read(descriptor, termios.TIOCOUTQ, within_s)
    except OSError as error:
        raise DeliveryError(f"cannot write to standard output: {error.strerror}") from error


def _write_all(descriptor: int, content: bytes) -> None:
    while content:
        content = content[os.write(descriptor, content) :]


def _wait_until_read(descriptor: int, how_much: int, within_s: float) -> None:
    """For a pipe or socket: both ends know how much lies between them."""
    end_s = time.monotonic() + within_s
    poll = select.poll()
    poll.register(descriptor, 0)  # errors alone
    while struct.unpack("i", fcntl.ioctl(descriptor, how_much, b"\0\0\0\0"))[0]:
        if poll.poll(0):
            raise DeliveryError("the reader of standard output exited before that")
        if time.monotonic() >= end_s:
            raise DeliveryError(f"nobody read standard output within {within_s:.0f} s")
        time.sleep(_POLL_S)
