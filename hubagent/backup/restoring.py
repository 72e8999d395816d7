"""Make this machine the hub that a backup was made of.

First everything is unpacked beside what is in use, which is what takes time and may fail. Then agent and hub
are stopped, and names are exchanged. What was there is moved aside, never removed. A restore that was
interrupted is run again: the journal says what it has exchanged.
"""

from __future__ import annotations

import hashlib
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import BinaryIO

from hubagent.backup import archive, presence
from hubagent.backup.exchange import Exchange
from hubagent.backup.journal import Journal
from hubagent.backup.making import Say
from hubagent.backup.manifest import Manifest
from hubagent.backup.ports import BackupPorts
from hubagent.backup.services import Services
from hubagent.backup.staging import Staging, small_files
from hubagent.errors import HubagentError, UsageError
from hubagent.layout import Layout
from hubagent.ports import UnitManager


@dataclass(frozen=True, slots=True)
class Restored:
    manifest: Manifest
    moved_aside: tuple[str, ...]  # for a person: what was there, and where it is now


class Restoring:
    """Every method may raise HubagentError; the backup is a file that can be read several times."""

    def __init__(
        self,
        ports: BackupPorts,
        layout: Layout,
        *,
        units: UnitManager,
        lock: AbstractContextManager[object],
        version: str,
        say: Say,
    ) -> None:
        """`lock` is the one that the agent holds while it runs."""
        self._ports = ports
        self._layout = layout
        self._services = Services(units)
        self._lock = lock
        self._version = version
        self._say = say

    def check(self, backup: BinaryIO) -> Manifest:
        """Read all of it. Raises BackupError unless it could be restored by this hubagent."""
        return self._verify(backup)[0]

    def restore(self, backup: BinaryIO, *, replace: bool) -> Restored:
        """Afterwards the agent runs, if it may. Nothing was changed when this raises BackupError, ConfigError or
        UsageError."""
        manifest, written = self._verify(backup)
        backup_id = hashlib.sha256(written).hexdigest()
        journal = Journal(self._ports.files, self._layout, backup_id, hub_runs=self._services.hub_runs())
        small = small_files(_from_start(backup), self._layout, self._ports.files)
        present = presence.survey(manifest, small, self._ports, self._layout)
        if present and not (replace or journal.is_open):
            raise UsageError(
                f"this machine is in use: {present.words()}. Nothing was changed. With --replace all of it is "
                "moved aside, and running servers are stopped"
            )
        staging = Staging(self._ports, self._layout)
        exchange = Exchange(manifest, small, staging, ports=self._ports, layout=self._layout, journal=journal)
        exchange.refuse_impossible()
        self._unpack(backup, manifest, staging)
        self._say("exchanging")
        with self._services.stopped(self._lock):
            try:
                exchange.run()
                journal.complete()
            except HubagentError as error:
                raise HubagentError(
                    f"{error}. Agent and hub stay stopped, since the restore may be half done: fix this and run "
                    "the same restore again"
                ) from error
        staging.clear()
        self._services.start()
        journal.end()
        return Restored(manifest, exchange.moved_aside)

    def _verify(self, backup: BinaryIO) -> tuple[Manifest, bytes]:
        self._say("reading the whole backup")
        return archive.verify(_from_start(backup), version=self._version)

    def _unpack(self, backup: BinaryIO, manifest: Manifest, staging: Staging) -> None:
        self._say("unpacking")
        try:
            staging.fill(_from_start(backup), manifest)
        except BaseException:
            staging.clear()
            raise


def _from_start(backup: BinaryIO) -> BinaryIO:
    backup.seek(0)
    return backup
