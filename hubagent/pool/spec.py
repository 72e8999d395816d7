"""What users' containers are made from: the configuration in, ContainerSpec out. Pure."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.config.model import Config, Mount, MountMode, Server
from hubagent.config.reading.rules import Extras, broken_extras, extras
from hubagent.layout import (
    GUEST_PROGRAM,
    LABEL_DIGEST,
    LABEL_GUEST,
    LABEL_KEPT,
    LABEL_SERVER,
    LABEL_SLOT,
    LABEL_TRIAL,
    LABEL_USER,
    LABEL_VOLUME,
    network_of,
)
from hubagent.naming import container_name
from hubagent.pool.owners import Account
from hubagent.pool.ports import Bind, ContainerSpec, ImageFacts
from hubagent.pool.refusal import SpawnError
from hubagent.pool.slots import NAME_PREFIX
from hubagent.pool.volumes import volume_labels
from hubagent.render.hub_files import server_digest

TRIAL_PREFIX: Final = "hubagent-trial-"
"""Of the names of containers and volumes that only show that a server starts."""

COMMAND: Final = ("/bin/sh", f"{wire.GUEST_FILES}/start")
"""The launcher, under the image's own entry point. What it executes it is told by its socket."""

JULIA_CPUS: Final = "JULIA_CPU_THREADS"
"""Julia's own variable for how many processors there are. It sees all of the machine's, and Pluto starts half as many
threads for each notebook."""

AI: Final = "HUBAGENT_AI"
"""Says that Pluto may offer what sends its users' code to a model elsewhere; guest/pluto/pluto.jl reads it."""

CPU_SHARES: Final = 1024
"""Docker's usual weight."""

WARMING_CPU_SHARES: Final = 64
"""Of a slot that is not ready yet: what it does can wait for those whom somebody waits for."""


class Specs:
    """Specs by the configuration in force. Methods raise SpawnError when it asks for what may not be."""

    def __init__(self, config: Callable[[], Config | None], *, program: Path = GUEST_PROGRAM) -> None:
        self._config = config
        self._program = program

    def cold(
        self,
        server: Server,
        image: ImageFacts,
        *,
        guest: str,
        guest_folder: str,
        account: Account,
        volume: str,
        server_name: str,
        port: int,
    ) -> ContainerSpec:
        """The container of one user's server, with the home in it from the beginning; `volume` is that home's."""
        return self._spec(
            server,
            image,
            name=container_name(account.user, server_name),
            labels={LABEL_GUEST: guest, LABEL_USER: account.user, LABEL_VOLUME: volume},
            binds=(*self._own(guest_folder), *map(_bind, server.mounts)),
            cpu_shares=CPU_SHARES,
            volume=(volume, str(server.home)),
            volume_labels=volume_labels(server.volume, account),
            port=port,
        )

    def slot(
        self,
        server: Server,
        image: ImageFacts,
        *,
        guest: str,
        recipe: str,
        guest_folder: str,
        home_folder: str,
    ) -> ContainerSpec:
        """The container of a warm slot: everything of a cold one but the user. A home is attached to
        `home_folder` on the host later, with the declared folders within it."""
        outside = [mount for mount in server.mounts if not mount.target.is_relative_to(server.home)]
        home = Bind(home_folder, str(server.home), read_only=False, propagation="rslave")
        return self._spec(
            server,
            image,
            name=NAME_PREFIX + guest,
            labels={LABEL_GUEST: guest, LABEL_SLOT: recipe},
            binds=(*self._own(guest_folder), home, *map(_bind, outside)),
            cpu_shares=WARMING_CPU_SHARES,
        )

    def trial(
        self, server: Server, image: ImageFacts, *, guest: str, guest_folder: str, cpu_shares: int
    ) -> ContainerSpec:
        """The container of a server of nobody's, which only shows that such a server starts: everything of a cold
        one but the user, with a home of its own, and with labels that keep it out of whatever counts servers."""
        name = TRIAL_PREFIX + guest
        spec = self._spec(
            server,
            image,
            name=name,
            labels={},
            binds=(*self._own(guest_folder), *map(_bind, server.mounts)),
            cpu_shares=cpu_shares,
        )
        labels = {LABEL_GUEST: guest, LABEL_TRIAL: server.name}
        volume = (name, str(server.home))
        return dataclasses.replace(
            spec, labels=labels, volume=volume, volume_labels={LABEL_TRIAL: server.name}
        )

    def _own(self, guest_folder: str) -> tuple[Bind, ...]:
        return (
            Bind(str(self._program), wire.GUEST_FILES, read_only=True),
            Bind(guest_folder, wire.GUEST_FOLDER, read_only=False),
        )

    def _spec(
        self,
        server: Server,
        image: ImageFacts,
        *,
        name: str,
        labels: Mapping[str, str],
        binds: tuple[Bind, ...],
        cpu_shares: int,
        volume: tuple[str, str] | None = None,
        volume_labels: Mapping[str, str] | None = None,
        port: int | None = None,
    ) -> ContainerSpec:
        added = self._extras()
        return ContainerSpec(
            name=name,
            image=server.image,
            command=COMMAND,
            # An image's entry point may look at these; what the hub tells the server comes by the socket.
            environment={
                JULIA_CPUS: str(math.ceil(server.cpus)),
                **({AI: "yes"} if server.ai else {}),
                **server.environment,
            },
            labels={
                **labels,
                LABEL_SERVER: server.name,
                LABEL_DIGEST: server_digest(server),
                LABEL_KEPT: "home",
            },
            network=network_of(server.name, own=bool(server.networks)),
            memory_bytes=server.memory_bytes,
            cpus=server.cpus,
            processes=server.processes,
            cpu_shares=cpu_shares,
            root_capabilities=image.starts_as_root,
            binds=binds,
            volume=volume,
            volume_labels=volume_labels or {},
            port=port,
            extra=added.create,
            extra_host=added.host,
        )

    def _extras(self) -> Extras:
        config = self._config()
        if config is None:
            raise SpawnError("not_allowed", "hubagent has no configuration in force; see `hubagent status`.")
        # `hubagent check` refuses such a file; a generation from before it did may still be in force.
        for fault in broken_extras(config.hub):
            raise SpawnError("not_allowed", f"{'.'.join(map(str, fault.path))}: {fault.message}")
        return extras(config.hub)


def _bind(mount: Mount) -> Bind:
    return Bind(str(mount.source), str(mount.target), read_only=mount.mode is MountMode.READ_ONLY)
