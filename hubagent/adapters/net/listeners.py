"""Who listens on a TCP port, and whose it is: what /proc tells anybody, and what it tells root alone."""

from __future__ import annotations

import ipaddress
import os
import pwd
import re
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

from hubagent.ports import Listener, Process

_TABLES: Final = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
_ESTABLISHED: Final = "01"
_LISTENING: Final = "0A"
_WORD: Final = 4  # bytes: the kernel prints an address in words of the machine's byte order
_UNIT: Final = re.compile(r"/([^/]+\.(?:service|scope|socket))(?:/|$)", re.MULTILINE)
_STOPPED: Final = "T"  # a process that a debugger holds is `t`


def listener(port: int) -> str | None:
    """In words for a person: "python3 (pid 812, demo.service)". The program's user, where /proc does not tell
    more: whose files a process has open is shown to its own user, and to root with CAP_SYS_PTRACE."""
    owners = {inode: user for _, inode, user in _sockets(port, _LISTENING)}
    if not owners:
        return None
    program = _program({f"socket:[{inode}]" for inode in owners})
    return program or f"a program of the user {_user_name(next(iter(owners.values())))}"


def listeners(port: int) -> tuple[Listener, ...]:
    """Every listening socket of this port."""
    return tuple(Listener(port, address, user) for address, _, user in _sockets(port, _LISTENING))


def connections(port: int) -> int:
    """How many established connections have this port on our side."""
    return sum(1 for _ in _sockets(port, _ESTABLISHED))


def process(pid: int) -> Process | None:
    """Its effective user, and whether it or one of its children is stopped (proc_pid_status(5)); None when there is
    none. A program that works through children answers nobody while those are stopped."""
    fields = _status(pid)
    if fields is None:
        return None
    family = (fields, *filter(None, map(_status, _children(pid))))
    return Process(int(fields["Uid"].split()[1]), is_stopped=any(map(_is_stopped, family)))


def _status(pid: int) -> dict[str, str] | None:
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return None
    return dict(line.split(":\t", 1) for line in lines if ":\t" in line)


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]
    except OSError:
        return []


def _is_stopped(fields: dict[str, str]) -> bool:
    return fields["State"].startswith(_STOPPED)


def _sockets(port: int, state: str) -> Iterator[tuple[str, int, int]]:
    """Address, inode and user of each socket with this port and state (proc_pid_net(5))."""
    suffix = f":{port:04X}"
    for table in _TABLES:
        try:
            lines = table.read_text().splitlines()[1:]
        except FileNotFoundError:
            continue  # a kernel without IPv6
        for line in lines:
            fields = line.split()
            if fields[3] == state and fields[1].endswith(suffix):
                yield _address(fields[1].partition(":")[0]), int(fields[9]), int(fields[7])


def _address(printed: str) -> str:
    words = bytes.fromhex(printed)
    if sys.byteorder == "little":
        words = b"".join(words[at : at + _WORD][::-1] for at in range(0, len(words), _WORD))
    found = ipaddress.ip_address(words)
    mapped = found.ipv4_mapped if isinstance(found, ipaddress.IPv6Address) else None
    return str(mapped or found)


def _program(sockets: set[str]) -> str | None:
    """The oldest process that holds one of them: the one that opened it, before any worker."""
    pids = [int(name) for name in os.listdir("/proc") if name.isdecimal()]
    holders = [pid for pid in pids if any(target in sockets for target in _descriptors(pid))]
    if not holders:
        return None
    oldest = min(holders, key=_started)
    unit = _unit(oldest)
    return f"{_name(oldest)} (pid {oldest}{f', {unit}' if unit else ''})"


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
        name = Path(f"/proc/{pid}/comm").read_text().strip()
    except OSError:
        return "a program"
    return "".join(character for character in name if character.isprintable()) or "a program"


def _unit(pid: int) -> str:
    """The service, scope or socket unit that systemd keeps it in; empty outside any (proc_pid_cgroup(5))."""
    try:
        found = _UNIT.findall(Path(f"/proc/{pid}/cgroup").read_text())
    except OSError:
        return ""
    return found[-1] if found else ""


def _user_name(uid: int) -> str:
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)
