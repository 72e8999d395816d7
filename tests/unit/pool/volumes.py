"""Homes on a machine in memory."""

from __future__ import annotations

from hubagent.layout import Layout
from hubagent.pool.owners import Owners
from hubagent.pool.ports import Containers
from hubagent.pool.volumes import Volumes
from hubagent.ports import Clock, FileStore
from tests.fakes import ManualClock, MemoryFileStore

LAYOUT = Layout()


def state() -> MemoryFileStore:
    """A disk with the agent's folder on it."""
    files = MemoryFileStore()
    files.put_folder(LAYOUT.state)
    return files


def owners_on(files: FileStore | None = None) -> Owners:
    return Owners(files or state(), LAYOUT.home_owners)


def volumes_on(containers: Containers, files: FileStore | None = None, clock: Clock | None = None) -> Volumes:
    """As the next agent on this machine has them."""
    return Volumes(containers, owners_on(files), clock or ManualClock())
