"""Packages upgraded and taken back while somebody works, by the commands of the operator's guide."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import ClassVar

from tests.machine.client import Kernel
from tests.machine.course import Course
from tests.machine.hub import until
from tests.machine.rig import Machine

REPO = "/srv/repo"  # where add.sh of the repository was run
OLDER = "/srv/older"
GUIDE = Path("docs/guide.md")

_SOURCES = "/etc/apt/sources.list.d/{}.sources"
_DATABASE = "/var/lib/jupyterhub/jupyterhub.sqlite"
_VERSIONS = "/usr/lib/hubagent-jupyterhub/lib/python3/site-packages/jupyterhub/alembic/versions"
_LATER = '''\
"""A schema that a later JupyterHub could want."""
revision = {later!r}
down_revision = {first!r}
branch_labels = depends_on = None

import sqlalchemy
from alembic import op


def upgrade():
    op.add_column("users", sqlalchemy.Column("of_a_later_version", sqlalchemy.Unicode(255), nullable=True))
'''


def offered(machine: Machine, repository: str) -> None:
    """Let apt take packages from this copy of the repository, too."""
    sources = machine.read(_SOURCES.format("hubagent"))
    assert REPO in sources
    machine.write(_SOURCES.format(Path(repository).name), sources.replace(REPO, repository))


def packages_back(machine: Machine, version: str) -> None:
    """Install an older version, as the guide says."""
    command = _commands("apt install --allow-downgrades").replace("VERSION", version)
    machine.run(["sh", "-ec", command.replace("apt install", "apt-get -yq install")], timeout_s=600.0)


def put_back(machine: Machine, copy: str) -> None:
    """Put the database from before the upgrade back, as the guide says."""
    commands = _commands("cp -p jupyterhub.sqlite.TIME")
    machine.run(["sh", "-ec", commands.replace("jupyterhub.sqlite.TIME", Path(copy).name)], timeout_s=120.0)


def _commands(with_this: str) -> str:
    """The one block of commands of the guide that has these words."""
    (block,) = [
        block for block in re.findall(r"(?s)```sh\n(.*?)```", GUIDE.read_text()) if with_this in block
    ]
    return str(block)


class Schema:
    """The schema of the hub's database, and that of a later JupyterHub: one more column."""

    LATER: ClassVar[str] = "ffffffffffff"

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self.first = self.revision()

    def revision(self, file: str = _DATABASE) -> str:
        return self._machine.run(["sqlite3", file, "SELECT version_num FROM alembic_version"]).stdout.strip()

    def copy(self) -> str:
        """The one that was kept."""
        (file,) = self._machine.run(["sh", "-c", f"ls {_DATABASE}.2*"]).stdout.split()
        return file

    def grows(self) -> None:
        """From its next start on, the hub wants the later schema, as if the next package brought it."""
        text = _LATER.format(later=self.LATER, first=self.first)
        self._machine.write(f"{_VERSIONS}/later.py", text, mode=0o644)

    def shrinks(self) -> None:
        """As if the next package did not know of it."""
        self._machine.run(["sh", "-c", f"rm {_VERSIONS}/later.py {_VERSIONS}/__pycache__/later.*"])


class AtWork:
    """Somebody with a server from a warm slot, a file in the home, and a kernel whose websocket is listened to."""

    def __init__(self, course: Course, name: str) -> None:
        self._course = course
        self._hub = course.hub
        until(self._has_slot, 120.0, "a warm slot")
        self._person = course.person(name, running=True)
        self._container = self._course.hub.machine.wait_until(self._find, 60.0, "the server in the status")
        note = {"type": "file", "format": "text", "content": "mine\n"}
        assert self._person.jupyter("PUT", "/api/contents/note.txt", note).status_code == 201
        self._kernel: Kernel = self._person.kernel()
        self._before = self._processes()

    def __enter__(self) -> AtWork:
        self._kernel.tick()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._kernel.__exit__(kind, error, trace)

    def works_on(self, after: str) -> None:
        """The same websocket, container, processes and files, and the server answers."""
        self._kernel.still_ticks(after)
        assert self._person.answers(), after
        read = self._person.jupyter("GET", "/api/contents/note.txt")
        assert read.json()["content"] == "mine\n", after
        assert self._processes() == self._before, after

    def starts_anew(self) -> None:
        """Stop the server that an older version started, and start one of this version in the same home."""
        self._kernel.__exit__(None, None, None)
        self._person.stop()
        self._person.start()
        read = self._person.jupyter("GET", "/api/contents/note.txt")
        assert read.json()["content"] == "mine\n"

    def is_known(self) -> bool:
        return bool(self._person.servers().get("", {}).get("ready"))

    def _has_slot(self) -> bool:
        return any(pool["ready"] for pool in self._hub.status()["pools"] if pool["server"] == "course")

    def _find(self) -> str | None:
        found = [
            one["container"] for one in self._hub.status()["servers"] if one["user"] == self._person.name
        ]
        return str(found[0]) if found else None

    def _processes(self) -> tuple[object, ...]:
        """The container, its first process, and the proxy's."""
        container = self._course.inspection(self._container)
        state, proxy = container["State"], self._hub.main_pid("configurable-http-proxy")
        return container["Id"], state["Pid"], state["StartedAt"], proxy
