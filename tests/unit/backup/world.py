"""Machines in folders: real files, real SQLite, Docker and systemd in memory."""

from __future__ import annotations

import io
import sqlite3
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path

from hubagent.adapters.files.sqlite import SqliteDatabases
from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.files.trees import LocalTrees
from hubagent.backup.making import Making
from hubagent.backup.manifest import Manifest
from hubagent.backup.ports import BackupPorts, TreeWriter
from hubagent.backup.restoring import Restored, Restoring
from hubagent.layout import AGENT, HUB, LABEL_GUEST, Layout
from hubagent.pool.ports import ContainerSpec
from hubagent.ports import ActiveState, JobResult, UnitVerb
from tests.fakes import FakeContainers, FakeUnitManager, ManualClock
from tests.unit.pool.mortal import Life

SHIPPED = "hub: {signup: approval}\n"


class Machine:
    """One machine; `life` is that of the command that runs on it. Each change it makes is a step."""

    def __init__(self, root: Path) -> None:
        self.layout = Layout(root)
        self.life = Life()
        self.clock = ManualClock()
        self.containers = _Volumes(root / "docker", self.step)
        self.units = _Units(self.step)
        self.trees = _Trees(self.step)
        for folder in ("etc/default", "run/hubagent", "var/lib/hubagent/secrets", "var/lib/jupyterhub"):
            (root / folder).mkdir(parents=True)
        self.put("etc/hubagent.yaml", SHIPPED)
        self.put("var/lib/hubagent/secrets/proxy-token", f"token of {root.name}")
        self.put("var/lib/hubagent/tls/self-signed.key", f"key of {root.name}")
        self.put("var/lib/jupyterhub/cookie_secret", f"cookie of {root.name}")
        self.database({"admin": None})

    def step(self) -> None:
        self.life.step()

    def put(self, path: str, text: str) -> None:
        place = self.layout.root / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        place.chmod(0o600)

    def text(self, path: str) -> str:
        return (self.layout.root / path).read_text()

    def database(self, users: Mapping[str, str | None]) -> None:
        """When each user was last there."""
        with closing(sqlite3.connect(self.layout.hub_state / "jupyterhub.sqlite")) as database, database:
            database.execute("CREATE TABLE IF NOT EXISTS users (name TEXT, last_activity DATETIME)")
            database.executemany("INSERT INTO users VALUES (?, ?)", list(users.items()))

    def users(self) -> list[str]:
        return _users(self.layout.hub_state / "jupyterhub.sqlite")

    def old_users(self) -> list[list[str]]:
        """Of every database that was moved aside."""
        return [_users(file) for file in self.layout.hub_state.glob("replaced-*/jupyterhub.sqlite")]

    def home(self, volume: str, user: str | None, files: Mapping[str, str]) -> None:
        self.containers.create_volume(volume, {} if user is None else {"hubagent.user": user})
        for name, text in files.items():
            self.put(f"docker/{volume}/_data/{name}", text)

    def homes(self) -> dict[str, dict[str, str]]:
        """Users' volumes with their files."""
        return {
            name: self.files(name)
            for name, labels in self.containers.volumes.items()
            if "hubagent.user" in labels
        }

    def files(self, volume: str) -> dict[str, str]:
        folder = self.layout.root / "docker" / volume / "_data"
        return {
            str(path.relative_to(folder)): path.read_text() for path in folder.rglob("*") if path.is_file()
        }

    def container(self, name: str) -> None:
        spec = ContainerSpec(name, "hubagent/julia", (), {}, {LABEL_GUEST: name}, "hubagent", 1, 1.0, 1)
        self.containers.start(self.containers.create(spec))

    def backup(self, *, homes: bool = True) -> io.BytesIO:
        sink = io.BytesIO()
        self.manifest = self._making().write(sink, homes=homes)
        return sink

    def _making(self) -> Making:
        return Making(
            self._ports(LocalFileStore()),
            self.layout,
            host=self.layout.root.name,
            version="1.0",
            say=lambda words: None,
        )

    def restoring(self, *, lock: AbstractContextManager[object] | None = None) -> Restoring:
        return Restoring(
            self._ports(_Files(self.step)),
            self.layout,
            units=self.units,
            lock=lock or nullcontext(),
            version="1.0",
            say=lambda words: None,
        )

    def _ports(self, files: LocalFileStore) -> BackupPorts:
        return BackupPorts(files, self.trees, SqliteDatabases(), self.containers, self.clock)

    def restore(self, backup: io.BytesIO, *, replace: bool = False) -> Restored:
        self.clock.advance(1.0)
        return self.restoring().restore(backup, replace=replace)

    def check(self, backup: io.BytesIO) -> Manifest:
        return self.restoring().check(backup)


def _users(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as database:
        return sorted(str(row[0]) for row in database.execute("SELECT name FROM users"))


class _Trees(LocalTrees):
    """The hub's user is another one here, and nothing has to outlive a power cut."""

    def __init__(self, step: Callable[[], None]) -> None:
        self._step = step

    def write(self, root: Path, *, owner: str | None = None) -> AbstractContextManager[TreeWriter]:
        self._step()
        return super().write(root, owner="daemon" if owner else None)

    def move(self, source: Path, target: Path) -> None:
        self._step()
        super().move(source, target)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)

    def make_parents(self, path: Path) -> None:
        self._step()
        super().make_parents(path)

    def sync(self) -> None:
        self._step()


class _Files(LocalFileStore):
    def __init__(self, step: Callable[[], None]) -> None:
        super().__init__()
        self._step = step

    def write(
        self, path: Path, content: bytes, *, mode: int, owner: str = "root", group: str = "root"
    ) -> None:
        self._step()
        super().write(path, content, mode=mode, owner=owner, group=group)

    def make_dir(self, path: Path, *, mode: int, owner: str = "root", group: str = "root") -> None:
        self._step()
        super().make_dir(path, mode=mode, owner=owner, group=group)

    def remove(self, path: Path) -> None:
        self._step()
        super().remove(path)


class _Volumes(FakeContainers):
    """With folders that are there."""

    def __init__(self, folder: Path, step: Callable[[], None]) -> None:
        super().__init__()
        self._folder = folder
        self._step = step
        self.elsewhere: set[str] = set()  # volumes without a place of their own on the host

    def volume_path(self, name: str) -> str | None:
        if super().volume_path(name) is None:
            return None
        return "" if name in self.elsewhere else str(self._folder / name / "_data")

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        self._step()
        super().create_volume(name, labels)
        if not (self._folder / name).exists():
            (self._folder / name / "_data").mkdir(parents=True)

    def remove_volume(self, name: str) -> None:
        self._step()
        super().remove_volume(name)
        LocalTrees().remove(self._folder / name)

    def remove(self, container: str) -> None:
        self._step()
        super().remove(container)


class _Units(FakeUnitManager):
    def __init__(self, step: Callable[[], None]) -> None:
        super().__init__({AGENT: ActiveState.ACTIVE, HUB: ActiveState.ACTIVE})
        self._step = step
        self.on(AGENT, self._starts_the_hub)

    def _starts_the_hub(self, verb: UnitVerb) -> None:
        if verb is UnitVerb.START:
            self.change(HUB, active=ActiveState.ACTIVE)

    def run(self, verb: UnitVerb, name: str, *, timeout_s: float) -> JobResult:
        self._step()
        return super().run(verb, name, timeout_s=timeout_s)
