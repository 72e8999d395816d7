"""What the rig has made on this host, and how all of it is taken away again, whoever died in between.

A machine's record is written before anything of it exists, and every thing it owns carries its name:
so whatever a killed test leaves is found by its record or by its name, and never anything else.
"""

from __future__ import annotations

import json
import os
import re
import shutil
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from . import cgroups, network, paths
from .errors import RigError
from .identity import ProcessIdentity
from .locks import locked
from .process import run

_NAME = re.compile(r"^[a-z][a-z0-9-]{0,39}$")


@dataclass(frozen=True, slots=True)
class Record:
    """One machine."""

    name: str
    suite: str
    root: str
    """The shared root that its disk lies over."""
    owner: ProcessIdentity
    keep: bool
    """It outlives its owner: a demonstration, not a test."""
    supervisor: ProcessIdentity | None = None
    leader: ProcessIdentity | None = None
    index: int | None = None
    images: str | None = None
    """The kept Docker data folder whose layers it shares."""

    @property
    def folder(self) -> Path:
        return paths.machines() / self.name

    @property
    def left_over(self) -> bool:
        """Nobody will come back for it."""
        return not self.keep and not self.owner.alive()

    def save(self) -> Record:
        self.folder.mkdir(parents=True, exist_ok=True)
        half = self.folder / "record.half"
        half.write_text(json.dumps(asdict(self), indent=1))
        half.replace(self.folder / "record.json")
        return self


def reserve(name: str, suite: str, root: Path, images: Path | None, *, keep: bool) -> Record:
    """Claim a name for this process."""
    if not _NAME.match(name):
        raise RigError(f"{name!r} cannot name a machine: lower case letters, digits and -, at most 40")
    with locked(paths.machines() / ".lock"):
        if (paths.machines() / name).exists() or network.namespace_of(name) in network.namespaces():
            raise RigError(f"a machine {name!r} is there already: python -m tests.machine.rig clean {name}")
        below = None if images is None else str(images)
        return Record(name, suite, str(root), ProcessIdentity.of(os.getpid()), keep, images=below).save()


def update(record: Record, **changes: ProcessIdentity | int | None) -> Record:
    """Write down what became known."""
    return replace(record, **changes).save()  # type: ignore[arg-type]  # the record's own field names


def records() -> list[Record]:
    """All machines that this cache knows of."""
    found = (load(folder.name) for folder in sorted(paths.machines().glob("*/")))
    return [record for record in found if record is not None]


def load(name: str) -> Record | None:
    """The record of one machine; None when there is none, or one of another version of the rig."""
    try:
        fields = json.loads((paths.machines() / name / "record.json").read_text())
        for key in ("owner", "supervisor", "leader"):
            if fields[key] is not None:
                fields[key] = ProcessIdentity(**fields[key])
        return Record(**fields)
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def remove(name: str) -> None:
    """Take away everything that belongs to the machine; safe to repeat, and to run after half of it is gone."""
    record = load(name)
    for process in (record.leader, record.supervisor) if record else ():
        if process is not None:
            process.kill()
    cgroups.kill(name)
    network.remove(name)
    cgroups.remove(name)
    folder = paths.machines() / name
    _unmount_below(folder)
    for part in sorted(folder.glob("*")):
        if part.name != "record.json":  # last: until then the next run can find what is left
            _delete(part)
    _delete(folder)


def sweep() -> list[str]:
    """Remove what dead owners left behind; returns the names."""
    with locked(paths.machines() / ".lock"):
        known = {record.name: record for record in records()}
        left = {name for name, record in known.items() if record.left_over}
        unknown = {folder.name for folder in paths.machines().glob("*/")} | _names_on_host()
        left |= {name for name in unknown - set(known) if not _owned_elsewhere(name)}
        for name in sorted(left):
            remove(name)
    return sorted(left)


def _names_on_host() -> set[str]:
    names = {space.removeprefix(paths.PREFIX) for space in network.namespaces()}
    names |= {group.name.removeprefix(paths.PREFIX) for group in cgroups.groups()}
    for rule in network.rules():
        found = re.search(rf'--comment "?{paths.PREFIX}([a-z0-9-]+)', rule)
        if found:
            names.add(found[1])
    return names


def _owned_elsewhere(name: str) -> bool:
    """Another session, with a cache or a version of its own, may run it: then processes are in it."""
    return bool(cgroups.members(name))


def _unmount_below(folder: Path) -> None:
    points = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for point in sorted((p for p in points if p.startswith(f"{folder}/")), key=len, reverse=True):
        run(["umount", "--lazy", point])


def _delete(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        run(["rm", "-rf", "--one-file-system", "--", str(path)], timeout_s=300.0)
        if path.exists():
            shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
