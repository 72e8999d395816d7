"""A booted Debian that tests use as they would a server of their own."""

from __future__ import annotations

import signal
import subprocess
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, TypeVar

from . import (
    cgroups,
    docker_data,
    host,
    network,
    nspawn,
    process,
    reaper,
    registry,
    root_filesystems,
    sources,
)
from .disk import Disk
from .errors import RigError
from .images import Image
from .process import Completed
from .root_filesystems import Flavour, Suite

T = TypeVar("T")

_BOOT_S = 60.0
_POWER_OFF_S = 90.0
_ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "DEBIAN_FRONTEND": "noninteractive",
}
_WRITE = 'umask 077; mkdir -p "$(dirname "$1")"; cat >"$1.part"; chmod "$2" "$1.part"; mv -f "$1.part" "$1"'


class Machine:
    """One machine: a disk and an address that last, and a system on it that starts, stops and loses power.

    Made by `boot` (whoever boots it owns it) or `attach` (someone else's, left as it is by `with`).
    """

    def __init__(self, record: registry.Record, *, owned: bool) -> None:
        self._record = record
        self._sources = sources.discover()
        self._owned = owned
        self._reaper: subprocess.Popen[bytes] | None = None
        self._booted: nspawn.Booted | None = None

    @classmethod
    def boot(
        cls,
        suite: Suite | str,
        *,
        name: str | None = None,
        flavour: Flavour = Flavour.SERVER,
        include: Sequence[str] = (),
        image: Image | None = None,
        keep: bool = False,
    ) -> Machine:
        """Boot a new machine of `suite` with the packages of `flavour` and `include`; returns when it is running.

        `image` is in its Docker from the start, also when Docker is only installed later.
        `keep` lets it outlive this process; without, it goes when this process ends, however that is.
        """
        suite = Suite(suite)
        host.require()
        registry.sweep()
        root = root_filesystems.ensure(
            root_filesystems.Recipe(suite, flavour, tuple(include), sources.discover())
        )
        images = None if image is None else docker_data.ensure(image, suite, lambda: cls.boot(suite))
        chosen = name or f"{suite.value}-{uuid.uuid4().hex[:6]}"
        machine = cls(registry.reserve(chosen, suite.value, root, images, keep=keep), owned=True)
        try:
            if not keep:
                machine._reaper = reaper.start(chosen)
            machine.disk.create()
            machine._record = registry.update(machine._record, index=network.create(chosen).index)
            machine._personalise()
            machine.start()
        except BaseException:
            machine.close()
            raise
        return machine

    @classmethod
    def attach(cls, name: str) -> Machine:
        """A machine that another process booted with `keep`."""
        record = registry.load(name)
        if record is None:
            raise RigError(f"no machine {name!r} here")
        return cls(record, owned=False)

    def __enter__(self) -> Machine:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._owned:
            self.close()

    # -- what it is

    @property
    def name(self) -> str:
        """Its name and host name."""
        return self._record.name

    @property
    def suite(self) -> Suite:
        return Suite(self._record.suite)

    @property
    def disk(self) -> Disk:
        """Its disk; to be touched from the host only while the machine is off."""
        images = self._record.images
        return Disk(self._record.folder, Path(self._record.root), None if images is None else Path(images))

    @property
    def network(self) -> network.Network:
        """Its namespace and addresses."""
        if self._record.index is None:
            raise RigError(f"machine {self.name} has no network yet")
        return network.Network(self.name, self._record.index)

    @property
    def address(self) -> str:
        """Its IPv4 address, reachable from the host."""
        return self.network.address

    @property
    def leader(self) -> int:
        """The host's process id of the machine's first process."""
        if not self.running or self._record.leader is None:
            raise RigError(f"machine {self.name} is not running")
        return self._record.leader.pid

    @property
    def running(self) -> bool:
        """Whether it has power."""
        return self._record.leader is not None and self._record.leader.alive()

    def console(self) -> str:
        """What it wrote to its console, at all its boots."""
        return self._console.read_text(errors="replace")

    # -- power

    def start(self) -> None:
        """Power on; returns when every unit of the default target is up, and fails when one is not."""
        groups = cgroups.create(self.name)
        self._booted = nspawn.start(self.name, self.disk, self.network, groups, self._console)
        self._record = registry.update(
            self._record, supervisor=self._booted.supervisor, leader=self._booted.leader
        )
        inside = Path(f"/proc/{self.leader}/root")
        self.wait_until(lambda: (inside / "run/systemd/private").exists(), _BOOT_S, "systemd's own socket")
        state = self.run(["systemctl", "is-system-running", "--wait"], check=False, timeout_s=_BOOT_S)
        if state.stdout.strip() != "running":
            failed = self.run(["systemctl", "--failed", "--no-legend", "--plain"], check=False).stdout
            raise RigError(
                f"machine {self.name} is {state.stdout.strip() or state.stderr.strip()}:\n{failed}"
            )

    def power_off(self) -> None:
        """Shut down in order, as `poweroff` does; the disk stays."""
        if self._record.leader is not None:
            self._record.leader.kill(signal.SIGRTMIN + 4)  # systemd(1): starts poweroff.target
        self._await_end()

    def cut_power(self) -> None:
        """Stop everything at once, as a pulled plug does; the disk stays."""
        if self._record.leader is not None:
            self._record.leader.kill()
        cgroups.thaw(self.name)
        self._await_end()

    def reboot(self) -> None:
        """Shut down in order and start again."""
        self.power_off()
        self.start()

    def close(self) -> None:
        """Remove the machine with all it made on this host."""
        registry.remove(self.name)
        if self._booted is not None:
            self._booted.process.wait()
        if self._reaper is not None and self._reaper.stdin is not None:
            self._reaper.stdin.close()
            self._reaper.wait()

    # -- commands and files

    def run(
        self,
        argv: Sequence[str],
        *,
        input: str | bytes | BinaryIO | None = None,  # noqa: A002 - subprocess' own name for it
        check: bool = True,
        timeout_s: float = 60.0,
        env: Mapping[str, str] | None = None,
    ) -> Completed:
        """Run a command inside as root, with a clean environment plus `env`. Raises CommandFailed with `check`."""
        return process.run(
            self.command(argv, env),
            input=input,
            check=check,
            timeout_s=timeout_s,
            shown_as=[f"{self.name}#", *argv],
        )

    def command(self, argv: Sequence[str], env: Mapping[str, str] | None = None) -> list[str]:
        """The host's command line for `argv` inside, for those who start it themselves."""
        settings = {**_ENVIRONMENT, **self._sources.environment, **(env or {})}
        enter = [
            "nsenter",
            f"--target={self.leader}",
            "--mount",
            "--uts",
            "--ipc",
            "--net",
            "--pid",
            "--cgroup",
            "--",
        ]
        clean = ["env", "-i", *(f"{key}={value}" for key, value in settings.items())]
        return nspawn.within(cgroups.groups(self.name), [*enter, *clean, *argv])

    def write(self, path: str, text: str | bytes, mode: int = 0o644) -> None:
        """Replace a file inside in one step; makes its folder when absent."""
        self.run(["sh", "-ec", _WRITE, "sh", path, f"{mode:o}"], input=text)

    def read(self, path: str) -> str:
        """A file's text."""
        return self.run(["cat", path]).stdout

    def exists(self, path: str) -> bool:
        """Whether anything is at `path`, a dangling link included."""
        return self.run(["sh", "-c", 'test -e "$1" || test -L "$1"', "sh", path], check=False).ok

    def push(self, source: Path, target: str) -> None:
        """Copy a file or a folder of the host to `target` inside; root owns it there."""
        self.run(["mkdir", "-p", target if source.is_dir() else str(Path(target).parent)])
        if not source.is_dir():
            with source.open("rb") as content:
                self.run(["dd", "status=none", "bs=1M", f"of={target}"], input=content, timeout_s=600.0)
            return
        with subprocess.Popen(["tar", "-C", str(source), "-c", "."], stdout=subprocess.PIPE) as packer:
            assert packer.stdout is not None
            unpack = ["tar", "-C", target, "--no-same-owner", "-x"]
            self.run(unpack, input=packer.stdout, timeout_s=600.0)  # type: ignore[arg-type]

    def pull(self, path: str, target: Path) -> None:
        """Copy one file from inside to the host."""
        target.write_bytes(self.run(["cat", path], timeout_s=600.0).out)

    def apt_install(self, *packages: str, timeout_s: float = 600.0) -> Completed:
        """Install Debian packages (names, or paths of .deb files inside) as an administrator would."""
        self.run(["apt-get", "-q", "update"], timeout_s=timeout_s)
        return self.run(["apt-get", "-yq", "install", *packages], timeout_s=timeout_s)

    # -- waiting and looking

    def wait_until(self, condition: Callable[[], T | None], timeout_s: float, what: str) -> T:
        """Look until `condition` gives something true; fails with `what` and this machine's name."""
        return process.wait_until(condition, timeout_s, f"{what} (machine {self.name})")

    def journal(self, unit: str | None = None, *, lines: int = 200) -> str:
        """The end of the journal, of one unit or of all."""
        chosen = ["-u", unit] if unit else []
        return self.run(["journalctl", "--no-pager", "-o", "short-precise", "-n", str(lines), *chosen]).stdout

    def unit_state(self, unit: str) -> str:
        """systemd's ActiveState of a unit."""
        return self.run(["systemctl", "show", "-P", "ActiveState", unit]).stdout.strip()

    # -- inner parts

    @property
    def _console(self) -> Path:
        return self._record.folder / "console.log"

    def _await_end(self) -> None:
        supervisor = self._record.supervisor
        if supervisor is not None:
            process.wait_until(
                lambda: not supervisor.alive(), _POWER_OFF_S, f"the end of machine {self.name}"
            )
        if self._booted is not None:
            self._booted.process.wait()
        cgroups.kill(self.name)

    def _personalise(self) -> None:
        """What must differ from machine to machine, and how this host finds names."""
        self.disk.write("/etc/hostname", f"{self.name}\n")
        self.disk.write(
            "/etc/hosts", f"127.0.0.1 localhost\n127.0.1.1 {self.name}\n::1 localhost ip6-localhost\n"
        )
        self.disk.write("/etc/machine-id", f"{uuid.uuid4().hex}\n")
        self.disk.write("/etc/resolv.conf", sources.name_servers())
