"""Who listens on a TCP port, to explain "Address already in use"."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_LISTENING: Final = "0A"


def listener(port: int) -> str | None:
    """In words for a person: "python3 (pid 812)". The program's user, where /proc does not tell more."""
    owners = dict(_sockets(port))
    if not owners:
        return None
    program = _program({f"socket:[{inode}]" for inode in owners})
    return program or f"a program of the user {_user_name(next(iter(owners.values())))}"


def _sockets(port: int) -> Iterator[tuple[int, int]]:
    """Inode and user of each listening socket (proc_pid_net(5))."""
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except FileNotFoundError:
            continue  # a kernel without IPv6
        for line in lines:
            fields = line.split()
            if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port:
                yield int(fields[9]), int(fields[7])


def _program(sockets: set[str]) -> str | None:
    """The oldest process that holds one of them: the one that opened it, before any worker."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    holders = [pid for pid in pids if any(target in sockets for target in _descriptors(pid))]
    if not holders:
        return None
    oldest = min(holders, key=_started)
    return f"{_name(oldest)} (pid {oldest})"


def _descriptors(pid: int) -> Iterator[str]:
    folder = f"/proc/{pid}/fd"
    # Processes end and close files while we look, and some are not ours to look into.
    with suppress(OSError):
        for descriptor in os.listdir(folder):
            with suppress(OSError):
                yield os.readlink(f"{folder}/{descriptor}")


def _started(pid: int) -> int:
    """In clock ticks since boot (proc_pid_stat(5), field 22)."""
    try:
        # The second field, the name in parentheses, may itself hold spaces and parentheses.
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    except OSError:
        return sys.maxsize


def _name(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a program"


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
