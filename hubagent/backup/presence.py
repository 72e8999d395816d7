"""What is on this machine that a restore would replace."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent.backup import places
from hubagent.backup.manifest import Database, Manifest
from hubagent.backup.ports import BackupPorts
from hubagent.backup.staging import SmallFiles
from hubagent.layout import LABEL_USER, Layout
from hubagent.pool.ports import Containers

_SHOWN: Final = 5


@dataclass(frozen=True, slots=True)
class Present:
    """What belongs to somebody. What hubagent makes by itself on a new machine counts as nothing."""

    people: tuple[str, ...]  # names of users who have logged in or signed up
    homes: tuple[str, ...]  # volumes with anything in them
    files: tuple[Path, ...]  # that the configuration names, with other content than in the backup

    def __bool__(self) -> bool:
        return bool(self.people or self.homes or self.files)

    def words(self) -> str:
        return "; ".join(
            f"{what}: {count} ({_some(names)})"
            for count, what, names in (
                (len(self.people), "people in the hub's database", self.people),
                (len(self.homes), "homes with files", self.homes),
                (len(self.files), "files of the configuration", tuple(map(str, self.files))),
            )
            if count
        )


def volumes_in_the_way(manifest: Manifest, containers: Containers) -> tuple[str, ...]:
    """Homes that are there, of whomever: one that the backup does not have would else come to whoever signs up
    under its user's name. None when the backup is without homes, which then all stay."""
    if not manifest.homes:
        return ()
    return tuple(
        sorted(
            name
            for name, labels in containers.volume_labels().items()
            if LABEL_USER in labels or name in manifest.users
        )
    )


def survey(manifest: Manifest, small: SmallFiles, ports: BackupPorts, layout: Layout) -> Present:
    """Raises HubagentError when that cannot be told."""
    people: tuple[str, ...] = ()
    if manifest.database is Database.SQLITE:
        people = ports.databases.people(layout.hub_state / places.DATABASE)
    homes = tuple(
        name
        for name in volumes_in_the_way(manifest, ports.containers)
        if (path := ports.containers.volume_path(name)) is not None
        and (not path or ports.trees.names(Path(path)))
    )
    return Present(people=people, homes=homes, files=small.in_the_way())


def _some(names: tuple[str, ...]) -> str:
    more = f", … {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(names[:_SHOWN]) + more
