"""The last member of a backup: what it is, and the checksum of each part."""

from __future__ import annotations

import enum
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final

from hubagent.backup.entries import volume_of
from hubagent.codec import Codec, CodecError, Key, json_object
from hubagent.errors import BackupError

FORMAT: Final = 1


class Database(enum.Enum):
    """Where the hub keeps its database; only SQLite's is in the backup."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"


@dataclass(frozen=True, slots=True)
class Part:
    name: str  # see entries
    members: int
    size: Annotated[int, Key("bytes")]  # of its files' content
    sha256: str  # hex; of everything in it, in order (see digests)


@dataclass(frozen=True, slots=True)
class Manifest:
    """Raises nothing by itself; `parse` is what refuses."""

    version: Annotated[str, Key("hubagent")]  # of hubagent
    made_s: float  # unix time
    host: str
    database: Database
    homes: bool  # volumes were asked for; there may be none
    parts: tuple[Part, ...]
    users: Mapping[str, str]  # by volume
    left_out: tuple[str, ...]  # sentences: what is not in it though one may think so

    @property
    def size(self) -> int:
        return sum(part.size for part in self.parts)

    @property
    def volumes(self) -> tuple[str, ...]:
        return tuple(name for part in self.parts if (name := volume_of(part.name)) is not None)


_MANIFEST: Final = Codec(Manifest, strict=False, mark=("format", FORMAT))


def to_json(manifest: Manifest) -> dict[str, Any]:
    plain: dict[str, Any] = _MANIFEST.plain(manifest)
    return plain


def dump(manifest: Manifest) -> bytes:
    return (json.dumps(to_json(manifest), indent=1, ensure_ascii=True) + "\n").encode("ascii")


def parse(content: bytes, *, version: str) -> Manifest:
    """Raises BackupError for what this version of hubagent cannot restore."""
    try:
        value = json_object(content)
        newest, made_by = int(value["format"]), str(value["hubagent"])
    except (ValueError, KeyError, TypeError) as error:
        raise BackupError(f"the backup's manifest cannot be read: {error!r}") from error
    if newest > FORMAT or _numbers(made_by) > _numbers(version):
        raise BackupError(
            f"the backup was made by hubagent {made_by}, which is newer than this one ({version}); "
            f"upgrade hubagent, then restore"
        )
    try:
        manifest = _MANIFEST.typed(value)
    except CodecError as error:
        raise BackupError(f"the backup's manifest cannot be read: {error}") from error
    if set(manifest.users) != set(manifest.volumes):
        raise BackupError("the backup's manifest does not say who owns the homes")
    return manifest


def _numbers(version: str) -> tuple[int, ...]:
    """1.2.0 before 1.10.0; what is no number counts as none."""
    return tuple(int(word) if word.isdecimal() else 0 for word in version.split("."))
