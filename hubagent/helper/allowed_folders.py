"""The folders that the configuration in force lets into homes, read anew for each attach.

The helper does not take the agent's word for them: who has taken over the agent still gets no other folder
of the host into a container.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Final

from hubagent import wire
from hubagent.codec import CodecError
from hubagent.helper import system_calls
from hubagent.helper.refusal import RefusalError, words
from hubagent.hub_documents import SERVERS_IN_FORCE

_MAX_BYTES: Final = 4 * 1024 * 1024  # as for every file that the agent writes


@dataclass(frozen=True, slots=True)
class Declared:
    """One of `servers.*.mounts`."""

    source: PurePosixPath
    home: PurePosixPath  # of its server; in the container, like the next
    target: PurePosixPath
    read_only: bool

    def covers(self, folder: wire.Folder) -> bool:
        """Whether this is the folder, asked for no less strictly than it is declared."""
        return (
            self.source == PurePosixPath(folder.source)
            and self.target == self.home / folder.target
            and (folder.read_only or not self.read_only)
        )


def read(servers_file: Path) -> tuple[Declared, ...]:
    """What servers.json says. Raises RefusalError."""
    try:
        with servers_file.open("rb") as file:
            servers = SERVERS_IN_FORCE.loads(file.read(_MAX_BYTES)).servers
        return tuple(
            Declared(
                PurePosixPath(mount.source),
                PurePosixPath(server.home),
                PurePosixPath(mount.target),
                mount.read_only,
            )
            for server in servers.values()
            for mount in server.mounts
        )
    except OSError as error:
        raise RefusalError(f"{servers_file}: cannot be read: {words(error)}") from error
    except CodecError as error:
        raise RefusalError(
            f"{servers_file}: is not what this version of hubagent writes ({error}); "
            "`systemctl restart hubagent.service` writes it anew"
        ) from error


def open_source(folder: wire.Folder, declared: tuple[Declared, ...], homes: tuple[PurePosixPath, ...]) -> int:
    """A descriptor of a declared folder's source. Raises RefusalError.

    The path is the admin's, and its links are followed. Only below a folder that users write to (the homes,
    or what another line of the configuration gives them) a link may be a user's, and is refused.
    """
    if not any(one.covers(folder) for one in declared):
        raise RefusalError(
            f"{folder.source}: the configuration does not declare it for {folder.target!r}"
            f"{'' if folder.read_only else ', writable'}; see servers.*.mounts in hubagent.yaml",
            reason="not_allowed",
        )
    source = PurePosixPath(folder.source)
    writable = [*homes, *(one.source for one in declared if not one.read_only)]
    outermost = min((one for one in writable if one in source.parents), key=_depth, default=None)
    try:
        if outermost is None:
            return system_calls.open_folder(source)
        return open_inside(outermost, source.relative_to(outermost))
    except OSError as error:
        raise RefusalError(f"{folder.source}: cannot be attached: {words(error)}") from error


def open_inside(trusted: PurePosixPath, rest: PurePosixPath) -> int:
    """A folder below one whose own path is the admin's; no link is followed on the rest. Raises OSError."""
    descriptor = system_calls.open_folder(trusted)
    try:
        return system_calls.open_beneath(descriptor, str(rest))
    finally:
        os.close(descriptor)


def _depth(path: PurePosixPath) -> int:
    return len(path.parts)
