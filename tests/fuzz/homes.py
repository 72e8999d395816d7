"""The homes helper's socket: whatever the agent sends, only homes and declared folders are attached, and all goes away.

It needs a mount namespace of its own; run.py gives it one.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
import threading
from pathlib import Path, PurePosixPath

from hubagent import wire
from hubagent.helper import mount_table
from hubagent.helper.cgroups import Cgroups
from hubagent.helper.folder import SlotFolder
from hubagent.helper.restorable import Restorable
from hubagent.helper.roots import HomesFolder
from hubagent.helper.server import Server
from hubagent.helper.slots import Slots
from hubagent.helper.yielding import Yielding
from tests.fuzz import frames

SLOT, OTHER = "0123456789ab", "ba9876543210"
HOME = "/home/jovyan/work"


class Homes:
    """The real server and its mounts, with two homes, a course, and a folder that nobody may have."""

    def __init__(self) -> None:
        self._root = Path(tempfile.mkdtemp(prefix="fuzz-"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", str(self._root)], check=True)
        self._volumes, self._course = self._root / "volumes", self._root / "course"
        self._secret = self._root / "secret"
        self._secret.mkdir()
        (self._secret / "key").write_text("of the host")
        servers = self._root / "servers.json"
        mount = {"source": str(self._course), "target": f"{HOME}/course", "read_only": True}
        servers.write_text(json.dumps({"servers": {"lab": {"home": HOME, "mounts": [mount]}}}))
        self._fresh()
        self._folder = SlotFolder(self._root / "run/slots")
        (self._root / "run").mkdir()
        self._folder.establish()
        self._slots = Slots(self._folder, homes=HomesFolder(self._volumes), servers_file=servers)
        self._path = self._root / "socket"
        loans = Restorable(self._root / "run/loans")
        loans.give_back_all()
        # No control groups: with them there would be processes in them to let stand still.
        server = Server(self._path, self._slots, Yielding(Cgroups(None, None), loans))
        stop, self._stop = socket.socketpair()
        threading.Thread(target=server.serve, args=(stop.fileno(),), daemon=True).start()
        self._stop_end = stop

    def seeds(self) -> list[bytes]:
        home, course = f"{self._volumes}/ada/_data", wire.Folder(str(self._course), "course", True)
        attach = wire.Attach(SLOT, home, (course,))
        return [
            frames.line(wire.Prepare(SLOT), attach, wire.ListSlots(), wire.Detach(SLOT)),
            frames.line(wire.Prepare(SLOT), wire.Prepare(OTHER), attach, wire.Attach(OTHER, home, ())),
            frames.line(wire.Prepare(SLOT), wire.Attach(SLOT, f"{self._volumes}/bob/_data", ()), attach),
            frames.line(wire.Prepare(SLOT), wire.Attach(SLOT, str(self._secret), ())),
            frames.line(
                wire.Prepare(SLOT), wire.Attach(SLOT, home, (wire.Folder(str(self._secret), "course", True),))
            ),
            frames.line(
                wire.Prepare(SLOT), wire.Attach(SLOT, home, (wire.Folder(str(self._course), "link", True),))
            ),
            b"\0" + wire.HEADER.pack(2**31) + b"x",
        ]

    def words(self) -> list[str]:
        names = ("Prepare", "Attach", "Detach", "ListSlots", "IdleDocker", "Freeze")
        places = (self._volumes, self._course, self._secret, f"{self._volumes}/ada/_data")
        return [
            *(f'"{name}"' for name in names),
            *(f'"{place}"' for place in places),
            *(
                '"v": 1',
                '"verb": ',
                '"slot": ',
                '"container": ',
                '"source": ',
                '"folders": [',
                '"target": ',
                '"read_only": true',
            ),
            *(
                f'"{SLOT}"',
                f'"{OTHER}"',
                '"course"',
                '"link"',
                "..",
                "/",
                "\\u0000",
                "\\ud800",
                "null",
                "{}",
                "[]",
            ),
        ]

    def one(self, data: bytes) -> None:
        descriptors = _descriptors()
        for stream in frames.peers(data):
            frames.ask(self._path, stream)
            self._judge()
        for slot in self._slots.known().slots:
            self._slots.detach(wire.Detach(slot))
        assert not self._attached(), "what was attached is gone"
        assert self._slots.known() == wire.Slots(())
        assert sorted(os.listdir(self._secret)) == ["key"]
        assert sorted(os.listdir(self._course)) == ["exercise"]
        assert _descriptors() == descriptors
        self._fresh()

    def _judge(self) -> None:
        for line in Path("/proc/self/mountinfo").read_text().splitlines():
            _number, _parent, _device, root, point, options = line.split(" ")[:6]
            if not point.startswith(f"{self._folder.path}/"):
                continue
            # Roots are as the file system has them, which is mounted at the top.
            inside = PurePosixPath(root)
            assert inside.is_relative_to("/volumes") or inside == PurePosixPath("/course"), line
            assert {"nosuid", "nodev"} <= set(options.split(",")), line
            assert inside != PurePosixPath("/course") or "ro" in options.split(","), line

    def _attached(self) -> list[PurePosixPath]:
        top = PurePosixPath(self._folder.path)
        return [mount.point for mount in mount_table.beneath(top) if mount.point != top]

    def _fresh(self) -> None:
        """Homes as they were: an attach makes folders in them."""
        for folder in (self._volumes, self._course):
            shutil.rmtree(folder, ignore_errors=True)
        for user in ("ada", "bob"):
            home = self._volumes / user / "_data"
            home.mkdir(parents=True)
            (home / "note").write_text(user)
            (home / "link").symlink_to(self._secret)
        self._course.mkdir()
        (self._course / "exercise").write_text("1")


def _descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))
