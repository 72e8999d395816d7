"""A container as far as a guest can tell: mounts and processes of its own, an ordinary user, an empty environment."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Final, TypeVar

from hubagent import wire
from tests.waiting import wait_until

ROOT: Final = Path(__file__).resolve().parents[2]
VENV: Final = ROOT / "build/guest-venv"
USER: Final = 1000
HOME: Final = "/home/jovyan"
WORK: Final = f"{HOME}/work"
DEADLINE_S: Final = 240.0

IMAGE: Final = {
    "PATH": f"{VENV}/bin:/usr/local/bin:/usr/bin:/bin",
    "HOME": HOME,
    "LANG": "C.UTF-8",
    "SHELL": "/bin/bash",
}
"""What the image's ENV lines would say."""

START: Final = ["/bin/sh", "/opt/hubagent/start"]
"""The command of every container: the guest."""

# The program lies as the package installs it. The first process stays root's, so that the end of this script's
# caller ends all: a changed user would forget about its parent's death.
#
# The checkout may lie where an ordinary user may not pass, or below a folder that is another one in here: /mnt keeps hold
# of it.
_ENTER: Final = """
set -e
mount --bind "$1" /mnt
top=$(printf %s "$1" | cut -d/ -f1-2)
setpriv --reuid 1000 --regid 1000 --clear-groups test -x "$1" || mount -t tmpfs -o mode=755 tmpfs "$top"
mount -t tmpfs tmpfs /opt
mount -t tmpfs tmpfs /run
mount -t tmpfs tmpfs /home
[ -e "$1/hubagent" ] || { mkdir -p "$1" && mount --bind /mnt "$1"; }
umount /mnt
mkdir -p /opt/hubagent/hubagent/codec /opt/hubagent/hubagent/guest /opt/hubagent/hubagent/wire
touch /opt/hubagent/start
(cd /opt/hubagent/hubagent && touch __init__.py request_log.py)
mount --bind "$1/hubagent/guest" /opt/hubagent/hubagent/guest
mount --bind "$1/hubagent/guest/start" /opt/hubagent/start
for file in __init__.py request_log.py; do mount --bind "$1/hubagent/$file" /opt/hubagent/hubagent/$file; done
for folder in codec wire; do mount --bind "$1/hubagent/$folder" /opt/hubagent/hubagent/$folder; done
mount -o remount,ro /opt
mkdir /run/hubagent
mount --bind "$2/socket" /run/hubagent
mkdir -p /home/jovyan /run/late/home
chmod 700 /run/late
if [ -e "$2/network" ]; then
    bindfs "$2/home" /run/late/home
else
    mount --bind "$2/home" /run/late/home
fi
if [ -e "$2/image" ]; then
    mount --bind "$2/image" /home/jovyan
    [ "$3" = late ] || mount --bind /run/late/home /home/jovyan/work
else
    mount --bind "$2/home" /home/jovyan
fi
mount -t tmpfs tmpfs /usr/local/etc
mkdir /usr/local/etc/jupyter
cp "$2/jupyter_server_config.py" /usr/local/etc/jupyter/
[ ! -e "$2/pyvenv.cfg" ] || mount --bind "$2/pyvenv.cfg" "$1/build/guest-venv/pyvenv.cfg"
cd /
shift 3
setpriv --reuid 1000 --regid 1000 --clear-groups env -i "$@"
"""

T = TypeVar("T")


class Container:
    """Made in `folder`; runs from `start` to `end`."""

    def __init__(
        self,
        folder: Path,
        *,
        config: str = "",
        own_packages: bool = False,
        image: Path | None = None,
        home: Path | None = None,
        network: bool = False,
        shared: Path | None = None,
    ) -> None:
        """`image` is what the image has in its HOME, which is then another folder than the kept one, WORK; `home` is
        what is kept, of an earlier container. `network`: with a kind of file system as networks' are, FUSE. `shared`:
        the guest's folder, with its settings, when an agent has made it."""
        self.folder = folder
        self.home = folder / "home"
        if home is None:
            self.home.mkdir()
            os.chown(self.home, USER, USER)
        else:
            self.home.symlink_to(home)
        self.network = network
        if network:
            (folder / "network").touch()
        if image is not None:  # a container has a copy of its own
            shutil.copytree(image, folder / "image", symlinks=True)
            (folder / "image/work").mkdir()
            subprocess.run(["chown", "-R", f"{USER}:{USER}", folder / "image"], check=True)
            os.chown(folder / "image/work", 0, 0)  # as the slot's folder is until a home is attached
        if shared is None:
            (folder / "socket").mkdir()
            (folder / "socket").chmod(0o777)
        else:
            (folder / "socket").symlink_to(shared)
        (folder / "jupyter_server_config.py").write_text(config)
        if own_packages:  # an environment of its own has no packages of the user, unless it says so
            text = (VENV / "pyvenv.cfg").read_text()
            (folder / "pyvenv.cfg").write_text(text.replace("site-packages = false", "site-packages = true"))
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, settings: wire.GuestSettings, image: Mapping[str, str] = IMAGE) -> None:
        """Run the guest as the agent has it run."""
        (self.folder / "socket" / wire.GUEST_SETTINGS).write_bytes(wire.to_json(settings))
        self.run(START, image, late=settings.mode == "warm")

    def attach(self) -> None:
        """Put the home of a container with an `image` where it belongs, as is done when a slot is claimed."""
        enter = ["nsenter", f"--target={self.pid}", "--mount"]
        subprocess.run([*enter, "mount", "--bind", "/run/late/home", WORK], check=True)

    def run(self, command: list[str], environment: Mapping[str, str], *, late: bool = False) -> None:
        """Run a command as Docker would."""
        words = [f"{name}={value}" for name, value in environment.items()]
        enter = [
            "unshare",
            "--mount",
            "--pid",
            "--fork",
            "--kill-child",
            "--mount-proc",
            "--propagation",
            "private",
        ]
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                [
                    *enter,
                    *("sh", "-c", _ENTER, "sh", ROOT, self.folder, "late" if late else "there"),
                    *words,
                    *command,
                ],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )

    @property
    def process(self) -> subprocess.Popen[bytes]:
        """All that runs in it ends with this one."""
        assert self._process is not None
        return self._process

    @property
    def output(self) -> str:
        return (self.folder / "output").read_text(errors="replace")

    @property
    def pid(self) -> int:
        """The user's first process, by its number on the host."""
        below = self.process.pid
        for _ in range(2):  # unshare, sh
            below = wait_until(lambda parent=below: _child(parent), "a process in the container")
        return wait_until(
            lambda: below if os.stat(f"/proc/{below}").st_uid == USER else _of_user(below),
            "the user's process",
        )

    def wait(self) -> int:
        """The exit status of what runs."""
        return self.process.wait(DEADLINE_S)

    def end(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def connect(self) -> socket.socket:
        """To the guest, once it listens. Fails when the container ends before."""
        path = str(self.folder / "socket" / wire.GUEST_SOCKET)

        def attempt() -> socket.socket | None:
            assert self.process.poll() is None, self.output
            connection = socket.socket(socket.AF_UNIX)
            try:
                connection.connect(path)
            except OSError:
                connection.close()
                return None
            return connection

        return wait_until(attempt, "the guest listens")

    def ask(self, message: object) -> wire.Pong | wire.Done | wire.Refused:
        with self.connect() as connection:
            wire.send(connection, message, timeout_s=DEADLINE_S)
            return answer(connection)

    def become(
        self, environment: Mapping[str, str], *command: str, home: str = HOME, inode: int | None = None
    ) -> wire.Done | wire.Refused:
        facts = self.home.stat()
        device, number = (
            (0, 0) if self.network else (facts.st_dev, facts.st_ino)
        )  # FUSE has numbers of its own
        found = self.ask(wire.Become(environment, command, home, device, number if inode is None else inode))
        assert isinstance(found, wire.Done | wire.Refused)
        return found


def answer(connection: socket.socket) -> wire.Pong | wire.Done | wire.Refused:
    found: object = wire.receive(connection, wire.Pong, wire.Done, wire.Refused, timeout_s=DEADLINE_S)
    assert isinstance(found, wire.Pong | wire.Done | wire.Refused)
    return found


def terminate(pid: int) -> None:
    os.kill(pid, signal.SIGTERM)


def _child(parent: int) -> int | None:
    text = Path(f"/proc/{parent}/task/{parent}/children").read_text().split()
    return int(text[-1]) if text else None  # before it, what serves a home of another kind


def _of_user(pid: int) -> int | None:
    child = _child(pid)
    return child if child is not None and os.stat(f"/proc/{child}").st_uid == USER else None
