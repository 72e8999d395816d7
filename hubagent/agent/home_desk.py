"""What decides about homes, put together: for the agent, and for a command while no agent runs."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable

import hubagent
from hubagent.adapters.files.home_files import LocalArchiveFiles
from hubagent.adapters.files.trees import LocalTrees
from hubagent.layout import Layout
from hubagent.ownership.archive import Archives
from hubagent.ownership.desk import Desk, StartsEnded
from hubagent.ownership.listing import uses
from hubagent.pool.owners import Owners
from hubagent.pool.ports import Containers
from hubagent.pool.slots import Slot
from hubagent.pool.volumes import Volumes
from hubagent.ports import Clock, FileStore


def home_desk(
    layout: Layout,
    *,
    files: FileStore,
    clock: Clock,
    containers: Containers,
    owners: Owners,
    volumes: Volumes,
    slots: Callable[[], Iterable[Slot]],
    starts_ended: StartsEnded,
) -> Desk:
    return Desk(
        owners,
        volumes=volumes,
        containers=containers,
        archives=Archives(
            layout.home_archives,
            trees=LocalTrees(),
            files=LocalArchiveFiles(),
            make_folder=lambda folder: files.make_dir(folder, mode=0o700),
            host=socket.gethostname(),
            version=hubagent.__version__,
        ),
        clock=clock,
        uses=lambda: uses(containers, slots()),
        starts_ended=starts_ended,
    )
