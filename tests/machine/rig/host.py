"""What a host must have to boot machines; installs missing Debian packages itself and names what it cannot mend."""

from __future__ import annotations

import functools
import os
import shutil
from collections.abc import Callable
from typing import Final

from . import cgroups, paths, sources
from .errors import CommandFailed, CommandTimeout, HostUnfit
from .locks import locked
from .process import run

_TOOLS: Final = {
    "mmdebstrap": "mmdebstrap",
    "systemd-nspawn": "systemd-container",
    "ip": "iproute2",
    "iptables": "iptables",
    "nsenter": "util-linux",
    "zstd": "zstd",
    "tar": "tar",
}
_FREE_BYTES: Final = 6 * 1024**3
_UNFIT_FILE_SYSTEMS: Final = ("tmpfs", "overlay", "nfs", "fuse")


@functools.cache
def require() -> None:
    """Make this host fit, or raise HostUnfit with everything that is missing. Looks once per process."""
    if os.geteuid() != 0:
        raise HostUnfit(["root: run this as root, or with sudo"])
    lacks = [lack for check in _CHECKS if (lack := check())]
    if lacks:
        raise HostUnfit(lacks)


def _tools() -> str | None:
    missing = sorted(package for tool, package in _TOOLS.items() if shutil.which(tool) is None)
    if not missing:
        return None
    if shutil.which("apt-get") is None:
        return f"these Debian packages: {' '.join(missing)}"
    try:
        install(missing)
    except (CommandFailed, CommandTimeout) as error:
        return f"these Debian packages, which apt could not install: {' '.join(missing)}\n    {error}"
    return None


def install(packages: list[str]) -> None:
    """Install Debian packages on this host, one session at a time."""
    with locked(paths.APT_LOCK):
        run(["apt-get", "-q", "update"], timeout_s=300.0)
        env = dict(os.environ) | {"DEBIAN_FRONTEND": "noninteractive"}
        run(["apt-get", "-yq", "--no-install-recommends", "install", *packages], timeout_s=900.0, env=env)


def _namespaces() -> str | None:
    made = run(["unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "true"], check=False)
    if made.ok:
        return None
    return f"leave to make namespaces (mount, uts, ipc, net, pid): {made.stderr.strip()}"


def _control_groups() -> str | None:
    missing = [name for name in cgroups.NEEDED if not (cgroups.MOUNT / name / "cgroup.procs").exists()]
    if not missing:
        return None
    return (
        f"cgroup controllers of version 1 under {cgroups.MOUNT}: {' '.join(missing)} "
        "(a kernel booted with systemd.unified_cgroup_hierarchy=0 has them)"
    )


def _disk() -> str | None:
    paths.machines().mkdir(parents=True, exist_ok=True)
    where = paths.cache()
    kind = run(["stat", "--file-system", "--format=%T", str(where)]).stdout.strip()
    if kind.startswith(_UNFIT_FILE_SYSTEMS):
        return f"a disk for {where}: Docker's overlay2 does not run on {kind}; set HUBAGENT_CACHE to a folder on ext4 or xfs"
    free = shutil.disk_usage(where).free
    if free < _FREE_BYTES:
        return f"disk: {where} has {free / 1024**3:.1f} GiB free, {_FREE_BYTES / 1024**3:.0f} GiB are needed"
    return None


def _registry() -> str | None:
    if shutil.which("apt-get") is None or sources.archives_known():
        return None
    try:
        with locked(paths.APT_LOCK):
            run(["apt-get", "-q", "update"], timeout_s=300.0)
    except (CommandFailed, CommandTimeout) as error:
        return f"Debian's package archive: apt-get update says\n    {error}"
    return None if sources.archives_known() else "a Debian archive in /etc/apt/sources.list or sources.list.d"


_CHECKS: Final[tuple[Callable[[], str | None], ...]] = (
    _tools,
    _namespaces,
    _control_groups,
    _disk,
    _registry,
)
