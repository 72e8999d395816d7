"""Everything that serves users' containers, built and run together: images, the pool, and the hub's socket.

Beside agent and home_desk the only place that knows adapters. Its parts run in threads of their own; they go by the
configuration in force, never by a file that is still being judged.
"""

from __future__ import annotations

import dataclasses
import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

import hubagent
from hubagent.adapters.docker.containers import DockerContainers
from hubagent.adapters.docker.image_builder import DockerImages
from hubagent.adapters.docker.image_files import DockerImageFiles
from hubagent.adapters.docker.image_inputs import LocalInputs
from hubagent.adapters.files.static_sets import LocalSets
from hubagent.adapters.machine.memory import read_memory
from hubagent.adapters.net.guests import SocketGuests
from hubagent.adapters.net.homes_helper import HomesClient
from hubagent.adapters.net.spawn_socket import SpawnServer
from hubagent.agent.home_desk import home_desk
from hubagent.config.model import Config, Server, Warm
from hubagent.errors import StorageError
from hubagent.images.builder import Images
from hubagent.images.ports import ImagePorts
from hubagent.images.static_files import StaticFiles
from hubagent.images.static_ports import StaticPorts
from hubagent.images.trials import Trials
from hubagent.layout import GUEST_PROGRAM, Layout, network_of
from hubagent.ownership.clerk import Clerk
from hubagent.ownership.requests import Decisions
from hubagent.pool.broker import REQUESTS, Broker
from hubagent.pool.cold import ColdStarts
from hubagent.pool.events import ClaimResult, Eviction, PoolRecorder, SlotFailure, SpawnKind
from hubagent.pool.home_prefetch import HomePrefetch
from hubagent.pool.inputs import PoolInputs
from hubagent.pool.owners import Owners
from hubagent.pool.pool import Pool
from hubagent.pool.ports import PoolPorts
from hubagent.pool.slots import Slots
from hubagent.pool.spec import Specs
from hubagent.pool.volumes import Volumes
from hubagent.pool.yielding import Yielding
from hubagent.ports import Clock, FileStore, HttpProbe
from hubagent.state.status import ImageStatus, PoolStatus

log = logging.getLogger(__name__)


class UserServers:
    """`declared` gives the configuration in force; `on_change` is called, from any thread, when what
    `status`, `users` or `images` say has changed."""

    def __init__(
        self,
        layout: Layout,
        *,
        declared: Callable[[], Config | None],
        files: FileStore,
        clock: Clock,
        probe: HttpProbe,
        recorder: PoolRecorder,
        on_change: Callable[[], None],
    ) -> None:
        self._declared = declared
        containers, guests = DockerContainers(), SocketGuests(layout.guests)
        image_ports = ImagePorts(DockerImages(), LocalInputs(), containers, guests, files, clock)
        self._images = Images(
            image_ports,
            layout,
            servers=lambda: config.servers if (config := declared()) else (),
            on_change=self._images_changed,
        )
        self._static_files = StaticFiles(
            StaticPorts(
                containers=containers,
                image_files=DockerImageFiles(),
                sets=LocalSets(layout.static_sets),
                probe=probe,
                files=files,
                clock=clock,
            ),
            servers=lambda: config.servers if (config := declared()) else (),
            choice=self._images.choice,
            proof=self._images.proof,
            address=lambda: config.host if (config := declared()) else None,
            layout=layout,
            on_change=on_change,
        )
        self._on_change = on_change
        specs = Specs(self._config)
        self._owners = Owners(files, layout.home_owners)
        volumes = Volumes(containers, self._owners, clock, on_foreign=on_change)
        self._trials = Trials(
            image_ports,
            layout,
            config=self._config,
            specs=specs,
            give_home=volumes.give,
            proof=self._images.proof,
            on_change=on_change,
        )
        self._home_prefetch = HomePrefetch(self._config, volumes.home_of)
        ports = PoolPorts(containers, HomesClient(layout.homes_socket), guests, clock)
        slots = Slots(files, layout.guests)
        yielding = Yielding(slots, ports.homes, clock)
        self._pool = Pool(
            slots,
            ports,
            PoolInputs(
                config=self._config,
                spec=specs.slot,
                home_of=volumes.home_of,
                proof=self._images.proof,
                memory=read_memory,
                program=_digest(GUEST_PROGRAM),
                told=self._static_files.told,
            ),
            yielding=yielding,
            recorder=_NotifyingRecorder(recorder, on_change),
        )
        broker = Broker(
            ports,
            config=self._config,
            cold=ColdStarts(
                ports,
                specs=specs,
                volumes=volumes,
                proof=self._images.proof,
                told=self._static_files.told,
            ),
            warm=self._pool,
            yielding=yielding,
            volumes=volumes,
            expect=self._home_prefetch.expect,
        )
        desk = home_desk(
            layout,
            files=files,
            clock=clock,
            containers=containers,
            owners=self._owners,
            volumes=volumes,
            slots=slots.all,
            starts_ended=broker.starts_ended,
        )
        self._clerk = Clerk(desk, Decisions(files, layout), on_change=on_change)
        self._server = SpawnServer(layout.spawn_socket, broker.answer, requests=REQUESTS)
        self._fault = ""
        self._avoided: frozenset[str] = frozenset()  # Docker's networks that no server may wait in

    def start(self) -> None:
        """Never fails: what cannot be had yet is tried again by `keep`."""
        self.keep()
        self._home_prefetch.start()
        self._clerk.start()
        self._pool.start()
        self._images.start()
        self._trials.start()
        self._static_files.start()

    def stop(self) -> None:
        """Servers and slots go on without the agent."""
        self._server.stop()
        self._home_prefetch.stop()
        self._clerk.stop()
        self._pool.stop()
        self._images.stop()
        self._trials.stop()
        self._static_files.stop()

    def keep(self) -> None:
        """Listen for the hub, if that is not so: at every check, since what was in the way may have gone."""
        try:
            self._server.start()
            fault = ""
        except StorageError as error:
            fault = str(error)
        if fault != self._fault:
            log.log(
                logging.ERROR if fault else logging.INFO, "%s", fault or "the hub can ask for servers again"
            )
        self._fault = fault

    def avoid(self, networks: Iterable[str]) -> None:
        """In these of Docker's networks no server waits from now on, so that they can be made anew."""
        avoided = frozenset(networks)
        if avoided != self._avoided:
            self._avoided = avoided
            self._pool.wake()

    def wake(self, *, asked: bool = False) -> None:
        """Something has changed: the configuration, containers, images. `asked`: by a person, who wants what
        failed to be tried again."""
        self._images.wake(asked=asked)
        self._pool.wake(asked=asked)
        self._trials.wake(asked=asked)
        self._static_files.wake(asked=asked)

    def status(self) -> tuple[PoolStatus, ...]:
        """Of the warm pools."""
        return self._pool.status()

    def failed_trials(self) -> Mapping[str, str]:
        """Why no server starts with the settings of an entry of `servers`, by its name."""
        return self._trials.failed()

    def fault(self) -> str:
        """Why the hub cannot ask for servers; empty when it can."""
        return self._fault

    def users(self) -> Mapping[str, str]:
        """Whose server a slot's container is, by the container's id."""
        return self._pool.users()

    def homes_waiting(self) -> int:
        """How many homes somebody asks for whose they are not; 0 while that cannot be told."""
        try:
            return sum(owner.waits for owner in self._owners.all())
        except StorageError:
            return 0

    def decide(self) -> None:
        """Begin what `hubagent homes` asks for. Raises StorageError."""
        self._clerk.poll()

    def images(self) -> tuple[ImageStatus, ...]:
        return tuple(
            dataclasses.replace(one, slow_pages=self._static_files.why_not(one.server))
            for one in self._images.status()
        )

    def _config(self) -> Config | None:
        """As declared, with the image of each server that may be started now, and warm where one may wait."""
        config = self._declared()
        if config is None:
            return None
        chosen = (
            dataclasses.replace(one, image=self._images.choice(one), warm=self._warm(one))
            for one in config.servers
        )
        return dataclasses.replace(config, servers=tuple(chosen))

    def _warm(self, server: Server) -> Warm | None:
        is_avoided = network_of(server.name, own=bool(server.networks)) in self._avoided
        return None if is_avoided else server.warm

    def _images_changed(self) -> None:
        self._pool.wake()
        self._trials.wake()
        self._static_files.wake()
        self._on_change()


class _NotifyingRecorder:
    """Counts, and then says that something has changed."""

    def __init__(self, recorder: PoolRecorder, on_change: Callable[[], None]) -> None:
        self._recorder = recorder
        self._on_change = on_change

    def claim(self, server: str, result: ClaimResult) -> None:
        self._recorder.claim(server, result)
        self._on_change()

    def claim_took(self, duration_s: float) -> None:
        self._recorder.claim_took(duration_s)

    def spawned(self, kind: SpawnKind, duration_s: float) -> None:
        self._recorder.spawned(kind, duration_s)
        self._on_change()

    def refilled(self, duration_s: float) -> None:
        self._recorder.refilled(duration_s)
        self._on_change()

    def evicted(self, reason: Eviction) -> None:
        self._recorder.evicted(reason)
        self._on_change()

    def slot_failed(self, server: str, failure: SlotFailure) -> None:
        self._recorder.slot_failed(server, failure)
        self._on_change()


def _digest(folder: Path) -> str:
    """Identity of the guest's program; slots with another one are replaced."""
    whole = hashlib.sha256(hubagent.__version__.encode())
    for path in sorted(folder.rglob("*")):
        if path.is_file() and path.suffix != ".pyc":
            whole.update(f"{path.relative_to(folder)}\n".encode() + path.read_bytes())
    return whole.hexdigest()
