"""Start systemd-nspawn for one machine and find the machine's first process."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from . import root_filesystems
from .disk import Disk
from .errors import RigError
from .identity import ProcessIdentity
from .network import Network
from .process import wait_until

_LEADER_S = 30.0

_ENTER_GROUPS = """\
while [ "$1" != -- ]; do echo $$ >"$1/cgroup.procs"; shift; done
shift
exec "$@"
"""


@dataclass(frozen=True, slots=True)
class Booted:
    """A started machine, seen from the host."""

    process: subprocess.Popen[bytes]
    supervisor: ProcessIdentity
    leader: ProcessIdentity


def within(groups: Sequence[Path], argv: Sequence[str]) -> list[str]:
    """A command that first moves itself into `groups`."""
    return ["sh", "-c", _ENTER_GROUPS, "sh", *map(str, groups), "--", *argv]


def start(name: str, disk: Disk, network: Network, groups: Sequence[Path], console: Path) -> Booted:
    """Boot the machine `name` from `disk`, writing what it says to the file `console`."""
    argv = [
        "systemd-nspawn",
        "--quiet",
        f"--directory={disk.mounted}",
        f"--machine={name}",
        # without systemd as the host's first process there is nobody to register with
        "--register=no",
        "--keep-unit",
        # Docker inside needs all of it; the session keyring is runc's
        "--capability=all",
        "--private-users=no",
        "--system-call-filter=@keyring bpf",
        f"--network-namespace-path={network.path}",
        "--resolv-conf=off",
        "--timezone=off",
        "--link-journal=no",
        "--console=pipe",
        f"--bind={disk.docker}:/var/lib/docker",
        root_filesystems.INIT,
        # for Debian 13's systemd, which takes version 1 of cgroups only when told twice
        "systemd.unified_cgroup_hierarchy=0",
        "SYSTEMD_CGROUP_ENABLE_LEGACY_FORCE=1",
    ]
    env = {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
        "SYSTEMD_NSPAWN_UNIFIED_HIERARCHY": "0",
        "SYSTEMD_NSPAWN_API_VFS_WRITABLE": "network",
    }
    with console.open("ab") as output:
        process = subprocess.Popen(
            within(groups, [*disk.mounting(), *argv]),
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            env=env,
            start_new_session=True,
        )
    supervisor = ProcessIdentity.of(process.pid)

    def leader() -> ProcessIdentity | None:
        if process.poll() is not None:
            raise RigError(f"machine {name} did not boot:\n{console.read_text(errors='replace')[-4000:]}")
        return _first_process(process.pid)

    return Booted(process, supervisor, wait_until(leader, _LEADER_S, f"the first process of machine {name}"))


def _first_process(supervisor: int) -> ProcessIdentity | None:
    """The child that is number 1 in a process namespace of its own, once it runs the machine's own init."""
    try:
        children = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text().split()
        for child in map(int, children):
            status = Path(f"/proc/{child}/status").read_text()
            name = status.splitlines()[0].split()[1]
            numbers = next(line for line in status.splitlines() if line.startswith("NSpid:")).split()[1:]
            if len(numbers) > 1 and numbers[-1] == "1" and name == "systemd":
                return ProcessIdentity.of(child)
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None
