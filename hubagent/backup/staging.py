"""Unpack a backup beside what it will replace. Nothing that is in use is touched."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import BinaryIO, Final

from hubagent.backup import archive, places
from hubagent.backup.entries import FILES, HUB, STATE, Entry, Kind, Readable, volume_of
from hubagent.backup.manifest import Manifest
from hubagent.backup.named_files import named_files
from hubagent.backup.ports import BackupPorts
from hubagent.config.reading import loader
from hubagent.config.reading.loader import MAX_BYTES
from hubagent.errors import BackupError, ConfigError, ContainerError
from hubagent.layout import HUB_USER, LABEL_ACCOUNT, LABEL_USER, Layout
from hubagent.pool import owners
from hubagent.ports import FileState, FileStore

SCRATCH: Final = "hubagent-restoring"
"""The volume in which homes wait: on the same file system as all others, so that a rename is enough."""

LABEL_SCRATCH: Final = "hubagent.restoring"


class SmallFiles:
    """The parts of a backup that fit into memory, checked: configuration, what it names, the certificate."""

    def __init__(self, found: Mapping[Path, FileState], layout: Layout, files: FileStore) -> None:
        self.found = found
        self._layout = layout
        self._files = files

    def in_the_way(self) -> tuple[Path, ...]:
        """Files that somebody must have put on this machine, with other content."""
        own = {self._layout.config}  # every machine has one
        return tuple(
            sorted(
                path
                for path in self.found
                if path not in own and not path.is_relative_to(self._layout.state) and self.differs(path)
            )
        )

    def labels(self, volume: str, user: str) -> Mapping[str, str]:
        """What a home's volume carries: the account that it had on the machine of the backup, if it had one."""
        known = self.found.get(self._layout.home_owners / owners.file_name(volume))
        try:
            label = owners.from_json(known.content).label if known is not None else ""
        except ValueError:  # damaged there already; then its user's account adopts the home
            label = ""
        return {LABEL_USER: user, **({LABEL_ACCOUNT: label} if label else {})}

    def differs(self, path: Path) -> bool:
        """Something is there, and it is not what the backup has."""
        there = self._files.read(path, max_bytes=places.MAX_FILE)
        return there is not None and there.content != self.found[path].content


def small_files(stream: BinaryIO, layout: Layout, files: FileStore) -> SmallFiles:
    """Read them out of a verified backup. Raises ConfigError for a configuration that this hubagent does not
    take, BackupError for files that it does not name: nobody else's business is restored."""
    found: dict[Path, FileState] = {}
    for part, entry, content in archive.read(stream):
        if part not in (FILES, STATE):
            break  # they come first
        if entry.kind is Kind.FOLDER:
            continue
        path = (layout.root if part == FILES else layout.state).joinpath(*entry.path)
        if entry.kind is not Kind.FILE or (part == STATE and entry.path[0] not in places.KEPT_STATE):
            raise BackupError(f"the backup has {path}, which does not belong in a backup of hubagent")
        found[path] = _state(path, entry, content)
    source = found.get(layout.config)
    if source is None:
        raise BackupError(f"the backup has no {layout.config}; it was not made by hubagent")
    try:
        config = loader.load(
            source.content[: MAX_BYTES + 1], path=f"{layout.config} in the backup", in_force=True
        )
    except ConfigError as error:
        older = "the backup's configuration is not one for this version of hubagent; restore it with the one"
        raise ConfigError((f"{older} that made it, then upgrade", *error.messages)) from error
    allowed = {layout.config, places.environment_file(layout), *named_files(config, layout)}
    for path in found:
        if path not in allowed and not path.is_relative_to(layout.state):
            raise BackupError(f"the backup has {path}, which its configuration does not name")
    return SmallFiles(found, layout, files)


def _state(path: Path, entry: Entry, content: Readable | None) -> FileState:
    if entry.size > places.MAX_FILE:
        raise BackupError(f"the backup has {path} with {entry.size} bytes, which is too large for what it is")
    read = content.read(entry.size) if content is not None else b""
    # root's, whoever had it: only root's programs read it, and its group may not exist here.
    return FileState(read, mode=entry.mode & 0o755, owner="root", group="root")


class Staging:
    """Folders in which the hub's files and users' homes wait until they are exchanged."""

    def __init__(self, ports: BackupPorts, layout: Layout) -> None:
        self._trees = ports.trees
        self._containers = ports.containers
        self.hub = layout.hub_state / places.STAGED
        self.scratch: Path | None = None  # with a folder for each home

    def fill(self, stream: BinaryIO, manifest: Manifest) -> None:
        """Raises HubagentError; what is there then is removed by `clear`."""
        self.clear()
        if manifest.volumes:
            self._containers.create_volume(SCRATCH, {LABEL_SCRATCH: "yes"})
            path = self._containers.volume_path(SCRATCH)
            if not path:
                raise ContainerError(
                    f"the volume {SCRATCH} was created but has disappeared; find out what removes it"
                )
            self.scratch = Path(path)
        members = archive.read(stream)
        current = next(members, None)
        while current is not None:
            part, entry, content = current
            place = self._place(part)
            if place is None:
                current = next(members, None)
                continue
            with self._trees.write(place, owner=HUB_USER if part == HUB else None) as writer:
                while current is not None and current[0] == part:
                    _, entry, content = current
                    _refuse_links_of_the_hub(part, entry)
                    writer.add(entry, content)
                    current = next(members, None)
        self._trees.sync()

    def home(self, volume: str) -> Path | None:
        """Where it waits; None when the backup has nothing of it but its name."""
        return self.scratch / volume if self.scratch and volume in self._trees.names(self.scratch) else None

    def clear(self) -> None:
        self._trees.remove(self.hub)
        self._containers.remove_volume(SCRATCH)
        self.scratch = None

    def _place(self, part: str) -> Path | None:
        if part == HUB:
            return self.hub
        volume = volume_of(part)
        return self.scratch / volume if volume is not None and self.scratch is not None else None


def _refuse_links_of_the_hub(part: str, entry: Entry) -> None:
    """root reads there by path; what is in homes nobody does."""
    if part == HUB and entry.kind not in (Kind.FILE, Kind.FOLDER):
        raise BackupError(f"the backup has a link among the hub's files, {'/'.join(entry.path)}")
