"""Root file systems from Debian's packages, kept unpacked and never written to: machines lay their own files over them.

Measured on two busy cores, for each machine: unpacking an archive and deleting it again took 8 to 11 s, laying over 0.1 s.
"""

from __future__ import annotations

import enum
import hashlib
import json
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from . import caches, paths
from .locks import locked
from .process import run
from .sources import Sources, keyring

_LAYOUT = 6
"""Counts up when this module writes other files into a root, so that cached ones are made anew."""

_BUILD_S = 900.0

_BARE = ("systemd", "systemd-sysv", "dbus", "ca-certificates", "iproute2", "nano", "procps")

_SERVER = (
    "cron",
    "curl",
    "docker.io",
    "iptables",
    "nftables",
    "nginx",
    "openssl",
    "python3",
    "python3-cryptography",
    "python3-docker",
    "python3-gi",
    "python3-jinja2",
    "python3-prometheus-client",
    "python3-pydbus",
    "python3-watchdog",
    "python3-yaml",
    "sqlite3",
)

_MASKED = (
    "systemd-modules-load.service",  # no kernel modules in a container
    "console-getty.service",
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "fstrim.timer",
)

INIT = "/usr/local/lib/machine/init"
"""What starts a root as a machine; hands over to systemd."""

# systemd-nspawn mounts version 1 controllers read-only; inside a cgroup namespace a new mount is writable and shows
# the machine's own part of the hierarchy. Before systemd starts, or it would not enforce the limits of units.
_INIT_SCRIPT = """\
#!/bin/sh
set -eu
for controller in memory cpu cpuacct cpuset pids devices freezer blkio; do
    mounted=/sys/fs/cgroup/$controller
    umount "$mounted"
    mount -t cgroup -o "rw,nosuid,nodev,noexec,$controller" cgroup "$mounted"
done
exec /lib/systemd/systemd "$@"
"""


class Suite(enum.Enum):
    """The Debian releases that machines are made of."""

    BOOKWORM = "bookworm"
    TRIXIE = "trixie"

    @property
    def release(self) -> int:
        """Debian's version number."""
        return {Suite.BOOKWORM: 12, Suite.TRIXIE: 13}[self]


class Flavour(enum.Enum):
    """How much is installed before a test begins."""

    BARE = "bare"
    """A just-installed server: systemd, D-Bus, apt."""
    SERVER = "server"
    """The same with all Debian packages that hubagent depends on, Docker and nginx running."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """What a root is made of; equal recipes share one root."""

    suite: Suite
    flavour: Flavour
    include: tuple[str, ...]
    sources: Sources

    @property
    def packages(self) -> tuple[str, ...]:
        names = set(_BARE) | set(self.include)
        if self.flavour is Flavour.SERVER:
            names |= set(_SERVER)
            if self.suite is not Suite.BOOKWORM:
                names.add("docker-cli")  # part of docker.io before Debian 13
        return tuple(sorted(names))

    @property
    def folder(self) -> Path:
        """Where the finished root lies."""
        parts = [
            _LAYOUT,
            self.suite.value,
            self.packages,
            self.sources.lines(self.suite.value),
            self.sources.apt_options,
            self.sources.authorities,
        ]
        digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
        return paths.roots() / f"{self.suite.value}-{self.flavour.value}-{digest}"


def ensure(recipe: Recipe) -> Path:
    """The root of this recipe, made now when it is not there yet (about a minute)."""
    folder = recipe.folder
    if not folder.exists():
        with locked(folder.with_name(f"{folder.name}.lock")):
            if not folder.exists():
                _build(recipe, folder)
    return caches.used(folder)


def bootstrap(
    suite: Suite,
    packages: Sequence[str],
    sources: Sources,
    target: Path,
    *,
    options: Sequence[str],
    environment: Mapping[str, str],
) -> None:
    """Run mmdebstrap into `target` (a folder, or an archive by its ending); `environment` is for its hooks."""
    with tempfile.TemporaryDirectory() as work:
        lines = Path(work, "sources.list")
        lines.write_text("".join(f"{line}\n" for line in sources.lines(suite.value)))
        run(
            [
                "mmdebstrap",
                "--quiet",
                "--variant=minbase",
                f"--keyring={keyring()}",
                f"--include={','.join(packages)}",
                *(f"--aptopt={line.rstrip(';')}" for line in sources.apt_options),
                *options,
                suite.value,
                str(target),
                str(lines),
            ],
            timeout_s=_BUILD_S,
            env={"PATH": os.environ["PATH"], "LANG": "C.UTF-8", **environment},
        )


def trust(sources: Sources, files: Path) -> list[str]:
    """Put the host's extra authorities under `files` (copied to a root's /); returns the hooks that enable them."""
    store = files / "usr/local/share/ca-certificates"
    store.mkdir(parents=True)
    for number, pem in enumerate(sources.authorities):
        (store / f"host-{number}.crt").write_text(pem + "\n")
    return ['--customize-hook=chroot "$1" update-ca-certificates']


def _build(recipe: Recipe, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as work:
        files = Path(work, "files")
        hooks = trust(recipe.sources, files)
        _write_files(recipe, files)
        half = folder.with_name(f"half-{folder.name}")
        run(["rm", "-rf", "--one-file-system", "--", str(half)], timeout_s=_BUILD_S)
        bootstrap(
            recipe.suite,
            recipe.packages,
            recipe.sources,
            half,
            options=["--skip=cleanup/apt/lists", f"--customize-hook=sync-in {files} /", *hooks],
            environment=recipe.sources.environment,
        )
    half.rename(folder)


def _write_files(recipe: Recipe, files: Path) -> None:
    units = files / "etc/systemd/system"
    units.mkdir(parents=True)
    for unit in _MASKED:
        (units / unit).symlink_to("/dev/null")

    init = files / INIT.lstrip("/")
    init.parent.mkdir(parents=True)
    init.write_text(_INIT_SCRIPT)
    init.chmod(0o755)

    if recipe.flavour is Flavour.SERVER:
        # As on an ordinary Debian, where cgroups are of version 2: containers weigh against services, not beside them.
        docker = files / "etc/default/docker"
        docker.parent.mkdir(parents=True)
        docker.write_text('DOCKER_OPTS="--exec-opt native.cgroupdriver=systemd"\n')

    apt = files / "etc/apt/apt.conf.d/90host"
    apt.parent.mkdir(parents=True)
    settings = [*recipe.sources.apt_options, 'Acquire::Languages "none";']
    apt.write_text("".join(f"{line}\n" for line in settings))
    dpkg = files / "etc/dpkg/dpkg.cfg.d/quick"
    dpkg.parent.mkdir(parents=True)
    dpkg.write_text("force-unsafe-io\n")  # a machine that is thrown away needs no fsync for each file
