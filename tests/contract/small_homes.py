"""The real homes helper in a mount namespace of its own, where `/` is shared as systemd makes it.

The namespace lives as long as its holder; helpers and containers come and go in it. Needs root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Final

from hubagent import wire
from hubagent.adapters.net.homes_helper import HomesClient
from hubagent.helper import mount_table
from hubagent.hub_documents import SERVERS, Mount, Server, Servers
from hubagent.layout import Layout
from tests.contract.small_groups import CPU, FREEZER, SmallGroups
from tests.waiting import wait_until

OWNER: Final = 1000
GROUP: Final = 100
HOME: Final = "/home/jovyan/work"
"""In the container."""

_HELPER: Final = """
import sys
from pathlib import Path, PurePosixPath
from hubagent.helper.main import main
from hubagent.layout import Layout
sys.exit(main(sys.argv[2:], layout=Layout(Path(sys.argv[1]))))
"""

# As in units/hubagent-homes.service.
CAPABILITIES: Final = ("sys_admin", "dac_override", "chown")

_READY_S: Final = 20.0


def servers_with(home: str, mounts: Sequence[Mount]) -> bytes:
    """A servers.json with one server."""
    lab = Server(
        title="Lab",
        image="lab",
        memory_bytes=1024**3,
        cpus=1.0,
        processes=100,
        home=home,
        volume="{username}",
        mounts=tuple(mounts),
        environment={},
        digest="",
    )
    return SERVERS.dumps(Servers("lab", "hubagent", "/lab", {"lab": lab}))


class SmallHomes:
    """A machine's root folder, with homes, course files and a configuration; /run is a tmpfs.

    Control groups are those of `groups`.
    """

    def __init__(self, *, run_options: str = "size=1m") -> None:
        self.root = Path(tempfile.mkdtemp(prefix="homes-"))  # short: a socket's path has 107 bytes
        self.layout = Layout(self.root)
        self.volumes = self.root / "volumes"
        self.helper: subprocess.Popen[bytes] | None = None
        self._log = self.root / "log"
        self._log.touch()
        self._mounts: list[Mount] = []
        run = self.root / "run"
        for folder in (self.volumes, run, self.layout.current / "hub"):
            folder.mkdir(parents=True)
        self.declare()
        self.groups = SmallGroups()
        self._holder = _hold(
            ["unshare", "--mount", "--propagation", "private"],
            f"mount --make-rshared / && mount -t tmpfs -o {run_options} tmpfs {run}"
            f" && mount --bind {self.groups.cpu} {CPU} && mount --bind {self.groups.freezer} {FREEZER}",
        )
        self.client = HomesClient(self.seen(self.layout.homes_socket))

    def close(self) -> None:
        try:
            self.stop(signal.SIGTERM)
        finally:
            _end(self._holder)
            self.groups.close()
        shutil.rmtree(self.root)  # out here nothing is mounted in it

    # What there is

    def home(self, user: str, *, mode: int = 0o700) -> str:
        """A user's home with one file in it, as a Docker volume lies on the host."""
        folder = self.volumes / user / "_data"
        folder.mkdir(parents=True)
        (folder / "note").write_text(user)
        os.chown(folder / "note", OWNER, GROUP)
        os.chown(folder, OWNER, GROUP)
        folder.chmod(mode)
        return str(folder)

    def course(self, name: str) -> str:
        folder = self.root / "courses" / name
        folder.mkdir(parents=True)
        (folder / "exercise").write_text(name)
        folder.chmod(0o777)
        return str(folder)

    def declare(self, *folders: wire.Folder) -> None:
        """Put these in force, besides what was declared before."""
        self._mounts += [Mount(one.source, f"{HOME}/{one.target}", one.read_only) for one in folders]
        (self.layout.current / "hub/servers.json").write_bytes(servers_with(HOME, self._mounts))

    # The helper

    def start(
        self, *tracer: str, capabilities: Sequence[str] = CAPABILITIES, asks_docker: bool = False
    ) -> None:
        """`tracer` is a command that runs the helper, such as strace. With `asks_docker` it is not told where homes
        are."""
        bounds = ",".join(["-all", *(f"+{one}" for one in capabilities)])
        prefix = [*tracer, "setpriv", f"--bounding-set={bounds}", "--inh-caps=-all", "--no-new-privs"]
        homes = () if asks_docker else ("--homes", str(self.volumes))
        log = self._log.open("a")
        self.helper = subprocess.Popen(
            self.inside(*prefix, sys.executable, "-c", _HELPER, str(self.root), *homes),
            env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
            stderr=log,
        )
        log.close()
        wait_until(self._answers, lambda: "the helper does not answer", timeout_s=_READY_S)

    def stop(self, how: signal.Signals) -> str:
        """End the helper; what it, and those before it, wrote."""
        if self.helper is not None and self.helper.poll() is None:
            traced = Path(f"/proc/{self.helper.pid}/task/{self.helper.pid}/children").read_text().split()
            os.kill(int(traced[0]) if traced else self.helper.pid, how)
            self.helper.wait(_READY_S)
        self.helper = None
        return self._log.read_text()

    def _answers(self) -> bool:
        assert self.helper is not None
        assert self.helper.poll() is None, "the helper ended"
        with contextlib.suppress(Exception):
            self.client.slots()
            return True
        return False

    # What is seen

    def seen(self, path: Path) -> Path:
        """The namespace's file, from outside."""
        return Path(f"/proc/{self._holder.pid}/root{path}")

    def inside(self, *command: str) -> Sequence[str]:
        return ("nsenter", f"--mount=/proc/{self._holder.pid}/ns/mnt", "--", *command)

    def run(self, *command: str) -> str:
        """A command in the namespace, as the admin's shell would run it."""
        done = subprocess.run(self.inside(*command), capture_output=True, text=True)
        assert done.returncode == 0, (command, done.stderr)
        return done.stdout

    def mounts(self, folder: Path | None = None) -> tuple[str, ...]:
        """Where something is mounted beneath a folder of the namespace (the slots, without their own)."""
        top = folder or self.layout.homes
        table = mount_table.beneath(PurePosixPath(top), Path(f"/proc/{self._holder.pid}/mountinfo"))
        return tuple(sorted(str(one.point) for one in table if one.point != PurePosixPath(top)))

    @contextmanager
    def container(self, slot: str) -> Iterator[Container]:
        """A process that sees the slot as a container does, from before its home is attached."""
        process = _hold(
            [*self.inside("unshare", "--mount", "--propagation", "slave")],
            f"cd {self.root} && mkdir -p seen-{slot} && mount --rbind {self.layout.homes}/{slot} seen-{slot} && cd /",
        )
        try:
            yield Container(process, self.root / f"seen-{slot}")
        finally:
            _end(process)


class Container:
    def __init__(self, process: subprocess.Popen[str], home: Path) -> None:
        self.process = process
        self.home = Path(f"/proc/{process.pid}/root{home}")

    def flags(self, target: str = ".") -> int:
        return os.statvfs(self.home / target).f_flag

    def identity(self) -> wire.Attached:
        facts = os.stat(f"{self.home}/.")
        return wire.Attached(facts.st_dev, facts.st_ino)


def _hold(prefix: Sequence[str], first: str) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        [*prefix, "sh", "-ec", f"{first}; echo ready; exec cat"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    return process


def _end(process: subprocess.Popen[str]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait(_READY_S)
    assert process.stdout is not None
    process.stdout.close()
