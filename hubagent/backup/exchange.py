"""Put what was unpacked in the place of what is there. Agent and hub do not run meanwhile.

Renames and small files only, each of which is safe to repeat.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Final

from hubagent.backup import places, presence
from hubagent.backup.entries import HUB, volume_part
from hubagent.backup.journal import Journal
from hubagent.backup.manifest import Manifest
from hubagent.backup.ports import BackupPorts
from hubagent.backup.staging import SmallFiles, Staging
from hubagent.errors import BackupError, ContainerError
from hubagent.layout import LABEL_GUEST, Layout

LABEL_REPLACED: Final = "hubagent.replaced"
"""Of a volume into which a home was moved aside: the home's volume. It is nobody's home any more."""


class Exchange:
    """The time at which it is made names what is moved aside."""

    def __init__(
        self,
        manifest: Manifest,
        small: SmallFiles,
        staging: Staging,
        *,
        ports: BackupPorts,
        layout: Layout,
        journal: Journal,
    ) -> None:
        self._manifest = manifest
        self._small = small
        self._staging = staging
        self._files = ports.files
        self._trees = ports.trees
        self._databases = ports.databases
        self._containers = ports.containers
        self._layout = layout
        self._journal = journal
        self._suffix = places.REPLACED + time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(ports.clock.time()))
        self._moved: list[str] = []

    @property
    def moved_aside(self) -> tuple[str, ...]:
        return tuple(self._moved)

    def refuse_impossible(self) -> None:
        """Raises BackupError while nothing has been done."""
        for volume in presence.volumes_in_the_way(self._manifest, self._containers):
            if self._containers.volume_path(volume) == "":
                raise BackupError(
                    f"the volume {volume} is stored elsewhere (Docker mounts it only for containers), so its "
                    "contents cannot be moved aside; remove the volume, or rename it there"
                )

    def run(self) -> None:
        """Raises HubagentError; then run the restore again."""
        self._journal.begin()
        for container in self._containers.list(label=LABEL_GUEST):
            self._containers.remove(container.id)
        others = presence.volumes_in_the_way(self._manifest, self._containers)
        for volume in sorted({*self._manifest.volumes, *others}):
            if not self._journal.is_done(volume_part(volume)):
                self._home(volume)
                self._journal.done(volume_part(volume))
        if not self._journal.is_done(HUB):
            self._hub()
            self._journal.done(HUB)
        for path in self._files_to_write():
            self._file(path)
        self._trees.sync()

    def _home(self, volume: str) -> None:
        path = self._path(volume)
        if path is not None and self._trees.names(path):
            aside = f"{volume}.{self._suffix}"
            self._containers.create_volume(aside, {LABEL_REPLACED: volume})
            self._trees.move(path, self._required(aside))
            self._moved.append(f"the home {volume} to the volume {aside}")
        staged = self._staging.home(volume)
        if staged is not None:
            self._containers.create_volume(volume, self._small.labels(volume, self._manifest.users[volume]))
            self._trees.move(staged, self._required(volume))
        elif path is not None:
            self._containers.remove_volume(volume)

    def _hub(self) -> None:
        state = self._layout.hub_state
        self._databases.settle(state / places.DATABASE)
        there = [
            name for name in self._trees.names(state) if not name.startswith((places.REPLACED, places.STAGED))
        ]
        if there:
            aside = state / self._suffix
            self._files.make_dir(aside, mode=0o700)
            for name in there:
                self._trees.move(state / name, aside / name)
            self._moved.append(f"the hub's database and the files beside it to {aside}")
        for name in self._trees.names(self._staging.hub):
            self._trees.move(self._staging.hub / name, state / name)

    def _files_to_write(self) -> list[Path]:
        """Whose the homes are is exchanged with the homes. Where they stay, what is known of them stays, too."""
        known = self._layout.home_owners
        if self._manifest.homes:
            self._files.remove(known)
        return [
            path
            for path in sorted(self._small.found)
            if self._manifest.homes
            or not path.is_relative_to(known)
            or self._files.read(path, max_bytes=places.MAX_FILE) is None
        ]

    def _file(self, path: Path) -> None:
        if self._small.differs(path):
            aside = self._aside(path)
            self._trees.make_parents(aside)
            self._trees.move(path, aside)
            self._moved.append(f"{path} to {aside}")
        state = self._small.found[path]
        if path.is_relative_to(self._layout.state):
            folder = path.relative_to(self._layout.state).parts[0]
            self._files.make_dir(self._layout.state / folder, mode=0o700)
        self._trees.make_parents(path)
        self._files.write(path, state.content, mode=state.mode)

    def _aside(self, path: Path) -> Path:
        if path.is_relative_to(self._layout.state):
            self._files.make_dir(self._layout.state / self._suffix, mode=0o700)
            return self._layout.state / self._suffix / path.relative_to(self._layout.state)
        return path.with_name(f"{path.name}.{self._suffix}")

    def _path(self, volume: str) -> Path | None:
        path = self._containers.volume_path(volume)
        return Path(path) if path else None

    def _required(self, volume: str) -> Path:
        path = self._path(volume)
        if path is None:
            raise ContainerError(
                f"the volume {volume} was created but has disappeared; find out what removes it"
            )
        return path
