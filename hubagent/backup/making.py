"""Make a backup while everything runs."""

from __future__ import annotations

import io
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, Final

from hubagent.backup import places
from hubagent.backup.archive import PartWriter, Writer
from hubagent.backup.entries import FILES, HUB, STATE, Entry, Kind, volume_part
from hubagent.backup.manifest import Database, Manifest
from hubagent.backup.named_files import named_files
from hubagent.backup.ports import BackupPorts
from hubagent.config.model import Config
from hubagent.config.reading import loader
from hubagent.config.reading.loader import MAX_BYTES
from hubagent.errors import ConfigError
from hubagent.layout import LABEL_USER, Layout
from hubagent.naming import volume_name
from hubagent.ports import FileState

Say = Callable[[str], None]
"""Told what is being worked on, for a person who waits."""

_POSTGRESQL: Final = (
    "The hub's database is a PostgreSQL one and is not in this file: dump it with pg_dump at the same time."
)


@dataclass(frozen=True, slots=True)
class Home:
    volume: str
    user: str
    path: Path


class Making:
    """Of one backup. Raises HubagentError; OSError is the sink's."""

    def __init__(self, ports: BackupPorts, layout: Layout, *, host: str, version: str, say: Say) -> None:
        self._files = ports.files
        self._trees = ports.trees
        self._databases = ports.databases
        self._containers = ports.containers
        self._clock = ports.clock
        self._layout = layout
        self._host = host
        self._version = version
        self._say = say
        self._left_out: list[str] = []

    def write(self, sink: BinaryIO, *, homes: bool) -> Manifest:
        """Everything into the sink. `homes`: users' volumes, too."""
        made_s = self._clock.time()
        config, source = self._config()
        snapshot = places.work_folder(self._layout) / "database"
        self._trees.remove(snapshot.parent)
        self._files.make_dir(snapshot.parent, mode=0o700)
        try:
            database = self._snapshot(config, snapshot)
            chosen = self._homes(config, snapshot if database is Database.SQLITE else None) if homes else ()
            writer = Writer(sink)
            with writer.part(FILES) as part:
                self._add_files(part, config, source)
            with writer.part(STATE) as part:
                self._add_state(part)
            with writer.part(HUB) as part:
                self._add_hub(part, snapshot)
        finally:
            self._trees.remove(snapshot.parent)
        for number, home in enumerate(chosen, start=1):
            self._say(f"home {number} of {len(chosen)}: {home.volume}")
            with writer.part(volume_part(home.volume)) as part:
                for entry, content in self._trees.walk(home.path):
                    part.add(entry, content)
        manifest = Manifest(
            version=self._version,
            made_s=made_s,
            host=self._host,
            database=database,
            homes=homes,
            parts=writer.parts,
            users={home.volume: home.user for home in chosen},
            left_out=tuple(self._left_out),
        )
        writer.finish(manifest)
        return manifest

    def _config(self) -> tuple[Config, FileState]:
        """The file on disk; while it has mistakes, the one that is in force."""
        in_force = self._layout.current / "hubagent.yaml"
        faults: tuple[str, ...] = (f"{self._layout.config}: does not exist",)
        for path in (self._layout.config, in_force):
            state = self._files.read(path, max_bytes=MAX_BYTES)
            if state is None:
                continue
            try:
                config = loader.load(state.content, path=str(path), in_force=True)
            except ConfigError as error:
                faults = error.messages
                continue
            if path == in_force:
                self._left_out.append(
                    f"{self._layout.config} has errors; the backup has the one in force instead, {in_force}."
                )
            return config, state
        raise ConfigError(faults)

    def _snapshot(self, config: Config, target: Path) -> Database:
        if config.hub.database != Database.SQLITE.value:
            self._left_out.append(_POSTGRESQL)
            return Database.POSTGRESQL
        self._say("the hub's database")
        if not self._databases.snapshot(self._layout.hub_state / places.DATABASE, target):
            self._left_out.append("The hub has no database yet.")
        return Database.SQLITE

    def _homes(self, config: Config, snapshot: Path | None) -> tuple[Home, ...]:
        """Volumes with our label, and those that the hub's users have without it: who came from another hub
        with the same pattern of names brought volumes that Docker does not let anybody label."""
        every = self._containers.volume_labels()
        users = {name: labels[LABEL_USER] for name, labels in every.items() if LABEL_USER in labels}
        known = self._databases.names(snapshot) if snapshot and self._files_has(snapshot) else ()
        for user in known:
            for server in config.servers:
                name = volume_name(server.volume, user)
                if name in every:
                    users.setdefault(name, user)
        found = []
        for volume, user in sorted(users.items()):
            path = self._containers.volume_path(volume)
            if path:
                found.append(Home(volume, user, Path(path)))
            elif path is not None:
                self._left_out.append(
                    f"The volume {volume} of {user} is stored elsewhere (Docker mounts it only for containers): "
                    "back it up there."
                )
        return tuple(found)

    def _files_has(self, path: Path) -> bool:
        return path.name in self._files.list_dir(path.parent)

    def _add_files(self, part: PartWriter, config: Config, source: FileState) -> None:
        self._say("the configuration")
        part.add(_file(self._layout.config, self._layout, source), io.BytesIO(source.content))
        for path in (places.environment_file(self._layout), *named_files(config, self._layout)):
            state = self._files.read(path, max_bytes=places.MAX_FILE)
            if state is not None:
                part.add(_file(path, self._layout, state), io.BytesIO(state.content))
            elif path != places.environment_file(self._layout):
                self._left_out.append(f"{path} does not exist, though {self._layout.config} names it.")

    def _add_state(self, part: PartWriter) -> None:
        for name in places.KEPT_STATE:
            for entry, content in self._trees.walk(self._layout.state / name):
                if entry.kind in (Kind.FILE, Kind.FOLDER):
                    part.add(_below(name, entry), content)

    def _add_hub(self, part: PartWriter, snapshot: Path) -> None:
        for entry, content in self._trees.walk(self._layout.hub_state, skip=places.is_not_kept):
            if entry.path and entry.kind in (Kind.FILE, Kind.FOLDER):
                part.add(entry, content)
        for entry, content in self._trees.walk(snapshot.parent):
            if entry.path == (snapshot.name,):
                part.add(_named(entry, places.DATABASE), content)


def _file(path: Path, layout: Layout, state: FileState) -> Entry:
    return Entry(path.relative_to(layout.root).parts, Kind.FILE, mode=state.mode, size=len(state.content))


def _below(folder: str, entry: Entry) -> Entry:
    return _at((folder, *entry.path), entry)


def _named(entry: Entry, name: str) -> Entry:
    return _at((name,), entry)


def _at(path: tuple[str, ...], entry: Entry) -> Entry:
    return Entry(path, entry.kind, entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.size)
