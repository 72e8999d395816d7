"""A cold start: a container of the user's own, made when the user asks.

What the hub tells the server, its token among it, goes to the launcher in the container by the guest's socket,
never by Docker, which would show it to anyone who may inspect containers.
"""

from __future__ import annotations

import logging
import secrets
from typing import Final

from hubagent import wire
from hubagent.config.model import Server
from hubagent.errors import ContainerError, GuestError, HubagentError
from hubagent.layout import LABEL_SERVER
from hubagent.naming import container_name
from hubagent.pool.inputs import Prove, Told
from hubagent.pool.maker import wanted_kernels
from hubagent.pool.owners import Account
from hubagent.pool.ports import ContainerFacts, PoolPorts
from hubagent.pool.refusal import SpawnError, missing_image
from hubagent.pool.spec import Specs
from hubagent.pool.volumes import Volumes

log = logging.getLogger(__name__)

LISTENS_S: Final = 90.0
"""So long a container may take to get to its launcher: an image's own entry point runs before it (seconds)."""

BECOMES_S: Final = 10.0
"""So long the launcher may take to execute the command (seconds)."""

ALIVE_S: Final = 0.25
"""How often a container whose launcher does not listen yet is looked at (seconds)."""

PING_S: Final = 2.0
LOG_LINES: Final = 20
"""How much of a container's output the log keeps when the container ends while it starts."""

_PAUSE_S: Final = 0.01


class ColdStarts:
    """Carries out cold starts, many side by side; the caller sees to it that each name has one at a time."""

    def __init__(self, ports: PoolPorts, *, specs: Specs, volumes: Volumes, proof: Prove, told: Told) -> None:
        """`told` is what a server is told beside what the hub says."""
        self._containers = ports.containers
        self._guests = ports.guests
        self._clock = ports.clock
        self._specs = specs
        self._volumes = volumes
        self._proof = proof
        self._told = told

    def start(self, server: Server, request: wire.Create) -> wire.Started:
        """The container runs its command. Raises SpawnError, or another HubagentError; then nothing is left
        but a home."""
        image = self._containers.image(server.image)
        if image is None:
            raise missing_image(server.image)
        self._remove_leftover(container_name(request.user, request.server_name))
        account = Account.of(request)
        home = self._volumes.home_of(server, account)
        guest = secrets.token_hex(6)
        container = ""
        try:
            proof = self._proof(image.id)
            settings = wire.GuestSettings(
                mode="cold",
                kernels={} if server.warm is None else wanted_kernels(server.warm, proof),
                home=str(server.home),
                pluto=proof is not None and bool(proof.pluto),
                declared=tuple(sorted(server.environment)),
            )
            folder = self._guests.prepare(guest, settings)
            spec = self._specs.cold(
                server,
                image,
                guest=guest,
                guest_folder=folder,
                account=account,
                volume=home.volume,
                server_name=request.server_name,
                port=request.port,
            )
            container = self._containers.create(spec)
            self._containers.start(container)
            self._wait_for_launcher(guest, container, spec.name)
            become = wire.Become(
                environment={**server.environment, **request.environment, **self._told.get(server.name, {})},
                command=request.command,
                home=str(server.home),
                device=0,  # not compared: the home is there from the container's beginning
                inode=0,
            )
            self._guests.become(guest, become, timeout_s=BECOMES_S)
            facts = self._running(container, spec.name)
        except BaseException:
            self._undo(guest, container)
            raise
        return wire.Started(id=facts.id, name=facts.name, address=facts.address)

    def _remove_leftover(self, name: str) -> None:
        """A container of this name is from a start that was broken off, or ended behind the hub's back."""
        found = self._containers.inspect(name)
        if found is None:
            return
        if LABEL_SERVER not in found.labels:
            raise ContainerError(
                f"cannot create {name}: a container of this name exists, and it is not hubagent's"
            )
        log.warning("removing a leftover container %s", name)
        self._containers.remove(found.id)

    def _wait_for_launcher(self, guest: str, container: str, name: str) -> None:
        begun_s = looked_s = self._clock.monotonic()
        while self._guests.ping(guest, timeout_s=PING_S) is None:
            now_s = self._clock.monotonic()
            if now_s - looked_s >= ALIVE_S:
                self._running(container, name)
                looked_s = now_s
            if now_s - begun_s > LISTENS_S:
                raise GuestError(
                    f"{name}: its launcher does not listen; does its entry point run its command?"
                )
            self._clock.sleep(_PAUSE_S)

    def _running(self, container: str, name: str) -> ContainerFacts:
        facts = self._containers.inspect(container)
        if facts is None:
            raise SpawnError("absent", "The server was removed while it started.")
        if facts.running:
            return facts
        output = self._containers.output(container, lines=LOG_LINES)
        log.error("%s ended with %s while it started:\n%s", name, facts.exit_code, output)
        if facts.out_of_memory:
            raise SpawnError("guest", "The server ran out of memory while it started.")
        raise SpawnError(
            "guest",
            f"The server ended while it started (exit status {facts.exit_code}); hubagent's log says more.",
        )

    def _undo(self, guest: str, container: str) -> None:
        """What cannot be removed now is removed by the next start, or by the pool's keeper."""
        try:
            if container:
                self._containers.remove(container)
            self._guests.forget(guest)
        except HubagentError as error:
            log.warning("after a failed start: %s", error)
