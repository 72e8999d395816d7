"""The real systemd as process 1 of namespaces of its own, with a few units made for tests. Up in half a second.

It shares this machine's files, but has its own /run, and reads units from one folder alone: nothing of this machine
is started or changed. Everything in it dies with the `unshare` process. Needs root.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from tests.waiting import wait_until

_BOOT_S: Final = 30.0

_BUS: Final = {
    "dbus.socket": """
        [Unit]
        DefaultDependencies=no
        [Socket]
        ListenStream=/run/dbus/system_bus_socket
    """,
    "dbus.service": """
        [Unit]
        DefaultDependencies=no
        Requires=dbus.socket
        [Service]
        ExecStart=/usr/bin/dbus-daemon --system --address=systemd: --nofork --nopidfile --systemd-activation
    """,
    "test.target": """
        [Unit]
        DefaultDependencies=no
        Requires=dbus.service
        After=dbus.service
    """,
}

JOURNAL: Final = {
    "systemd-journald.socket": """
        [Unit]
        DefaultDependencies=no
        [Socket]
        ListenStream=/run/systemd/journal/stdout
        ListenDatagram=/run/systemd/journal/socket
        PassCredentials=yes
        PassSecurity=yes
    """,
    "systemd-journald.service": """
        [Unit]
        DefaultDependencies=no
        Requires=systemd-journald.socket
        [Service]
        Type=notify
        ExecStart=/lib/systemd/systemd-journald
        StandardOutput=null
        # It keeps what it hears in the /run of this systemd, not with this machine's own journal.
        TemporaryFileSystem=/var/log
        InaccessiblePaths=-/dev/kmsg
    """,
}
"""Units of the real journald, for those who read a journal; see `journal`."""

# $1 is a folder for mounts and unit files, $2 a name for the cgroup. The cgroup comes first: with it as the root of
# the cgroup namespace, systemd cannot touch any other process' groups.
_START: Final = """
set -e
mount --make-rprivate /
mount -t cgroup2 cgroup2 "$1/cgroup"
mkdir "$1/cgroup/$2"
echo $$ >"$1/cgroup/$2/cgroup.procs"
exec unshare --mount --pid --uts --ipc --cgroup --fork --kill-child -- bash -c '
    set -e
    mount --make-rprivate /
    umount "$1/cgroup"
    mount -t proc proc /proc
    mount -t tmpfs tmpfs /run
    umount -R /sys/fs/cgroup || true
    mount -t cgroup2 cgroup2 /sys/fs/cgroup
    exec env -i PATH="$PATH" container=unshare SYSTEMD_UNIT_PATH="$1/units" /lib/systemd/systemd \
        --system --unit=test.target --log-target=console --show-status=no
' bash "$1"
"""
_SWEEP: Final = """
mount --make-rprivate /
mount -t cgroup2 cgroup2 "$1/cgroup"
find "$1/cgroup/$2" -depth -type d -exec rmdir {} +
"""


class SmallSystemd:
    """Boots when made, gone after `close`."""

    def __init__(self, units: Mapping[str, str]) -> None:
        """Unit texts by name; an empty text makes a masked unit."""
        self._folder = Path(tempfile.mkdtemp(prefix="small-systemd-"))
        self._cgroup = f"hubagent-contract-{uuid.uuid4().hex[:8]}"
        (self._folder / "cgroup").mkdir()
        (self._folder / "units").mkdir()
        for name, text in {**_BUS, **units}.items():
            self._write_unit(self._folder / "units" / name, text)
        with (self._folder / "console").open("wb") as console:
            self._process = subprocess.Popen(
                ["unshare", "--mount", "--", "bash", "-c", _START, "bash", str(self._folder), self._cgroup],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
            )
        try:
            wait_until(self._is_up, self._console, timeout_s=_BOOT_S)
        except BaseException:
            self.close()
            raise

    @property
    def address(self) -> str:
        """D-Bus address of its system bus, from outside."""
        return f"unix:path=/proc/{self.leader}/root/run/dbus/system_bus_socket"

    @property
    def leader(self) -> int:
        """The id that its process 1 has outside; 0 while there is none yet."""
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return int(children[0]) if children else 0

    def outside(self, pid: int) -> int:
        """The id outside of the process that has this one inside."""
        for status in Path("/proc").glob("[0-9]*/status"):
            try:
                namespaces = re.search(r"^NSpid:(.*)$", status.read_text(), re.MULTILINE)
                same = os.path.samefile(status.parent / "ns/pid", f"/proc/{self.leader}/ns/pid")
            except OSError:
                continue  # it has ended meanwhile
            if same and namespaces and int(namespaces[1].split()[-1]) == pid:
                return int(status.parent.name)
        raise AssertionError(f"no process {pid} inside")

    def systemctl(self, *arguments: str, check: bool = True) -> str:
        """As an administrator inside; talks to systemd directly, also when dbus-daemon is down."""
        done = self._inside("systemctl", *arguments)
        if check and done.returncode != 0:
            raise AssertionError(f"systemctl {' '.join(arguments)}: {done.stderr}{self._console()}")
        return done.stdout

    def journal(self, *arguments: str) -> str:
        """What `journalctl` prints; needs the units of JOURNAL."""
        done = self._inside("journalctl", "--quiet", "--no-pager", *arguments)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def write_unit(self, name: str, text: str) -> None:
        """Add or replace a unit file; systemd reads it at the next daemon-reload."""
        self._write_unit(self._folder / "units" / name, text)

    def stop_bus(self) -> None:
        """dbus-daemon dies, and nothing listens on its socket."""
        self.systemctl("stop", "dbus.socket", "dbus.service")

    def start_bus(self) -> None:
        self.systemctl("start", "dbus.socket", "dbus.service")

    def kill_bus(self) -> None:
        """dbus-daemon dies; the next connection to its socket starts another one."""
        self.systemctl("kill", "--signal=KILL", "dbus.service")

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        sweep = ["unshare", "--mount", "--", "bash", "-c", _SWEEP, "bash", str(self._folder), self._cgroup]
        wait_until(
            lambda: subprocess.run(sweep, capture_output=True, check=False).returncode == 0, timeout_s=10.0
        )
        shutil.rmtree(self._folder)

    def _is_up(self) -> bool:
        if self._process.poll() is not None:
            raise AssertionError(f"systemd did not start: {self._console()}")
        if not self.leader:
            return False
        return self._inside("systemctl", "is-active", "test.target").stdout.strip() == "active"

    def _inside(self, *command: str) -> subprocess.CompletedProcess[str]:
        enter = ["nsenter", f"--target={self.leader}", "--mount", "--pid", "--cgroup", "--", *command]
        return subprocess.run(enter, capture_output=True, text=True, check=False, timeout=30.0)

    def _console(self) -> str:
        return (self._folder / "console").read_text(errors="replace")

    @staticmethod
    def _write_unit(path: Path, text: str) -> None:
        path.unlink(missing_ok=True)
        if text:
            path.write_text("\n".join(line.strip() for line in text.strip().splitlines()) + "\n")
        else:
            os.symlink("/dev/null", path)
