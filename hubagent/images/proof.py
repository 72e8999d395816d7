"""Proves an image: starts it once, without a network, with the guest in mode `prove`, which starts a server.

The container is removed whatever happens; one that an earlier agent left behind is removed by `clear`.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Final

from hubagent import wire
from hubagent.config.model import Server
from hubagent.errors import ContainerError, GuestError, ImageError
from hubagent.layout import GUEST_PROGRAM, LABEL_GUEST, LABEL_PROOF
from hubagent.pool.ports import Bind, Containers, ContainerSpec, Guests
from hubagent.ports import Clock

COMMAND: Final = ("/bin/sh", f"{wire.GUEST_FILES}/start")

_DEADLINE_S: Final = 180.0  # on a busy machine; a server takes some seconds
_POLL_S: Final = 0.2
_WORDS: Final = 30
_SHOWN: Final = 3
_ID_BYTES: Final = 6
CPU_SHARES: Final = 128
"""Of what only proves something: a user's server has eight times as much."""


class Prover:
    """One proof at a time."""

    def __init__(self, containers: Containers, guests: Guests, clock: Clock) -> None:
        self._containers = containers
        self._guests = guests
        self._clock = clock

    def prove(self, image: str, server: Server) -> wire.Proof:
        """Raises ImageError when no server of this image answers, ContainerError or GuestError when it could
        not even be tried."""
        facts = self._containers.image(image)
        if facts is None:
            raise ContainerError(f"the image {image} disappeared before it was proven")
        return self.run(
            lambda guest, folder: ContainerSpec(
                name=f"hubagent-proof-{guest}",
                image=image,
                command=COMMAND,
                environment=dict(server.environment),
                labels={LABEL_GUEST: guest, LABEL_PROOF: image},
                network="none",
                memory_bytes=server.memory_bytes,
                cpus=server.cpus,
                processes=server.processes,
                cpu_shares=CPU_SHARES,
                root_capabilities=facts.starts_as_root,
                binds=(
                    Bind(str(GUEST_PROGRAM), wire.GUEST_FILES, read_only=True),
                    Bind(folder, wire.GUEST_FOLDER, read_only=False),
                ),
            ),
            server,
        )

    def run(
        self,
        spec_of: Callable[[str, str], ContainerSpec],
        server: Server,
        *,
        made: Callable[[str], None] = lambda _container: None,
    ) -> wire.Proof:
        """What a server of this container proves. `spec_of` is given the guest's id and its folder on the host,
        `made` the container before it is started.

        Raises ImageError when none answers, ContainerError when Docker refuses the container, EngineAbsentError
        or GuestError when it could not even be tried."""
        guest = secrets.token_hex(_ID_BYTES)
        settings = wire.GuestSettings(
            mode="prove", home=str(server.home), declared=tuple(sorted(server.environment))
        )
        spec = spec_of(guest, self._guests.prepare(guest, settings))
        try:
            container = self._containers.create(spec)
            made(container)
            self._containers.start(container)
            return self._result(container, guest)
        finally:
            self._remove(spec.name, guest)

    def clear(self) -> None:
        """Remove what a killed agent left. Raises ContainerError or GuestError."""
        for container in self._containers.list(label=LABEL_PROOF):
            self._remove(container.id, container.labels.get(LABEL_GUEST, ""))

    def _result(self, container: str, guest: str) -> wire.Proof:
        until_s = self._clock.monotonic() + _DEADLINE_S
        while (facts := self._containers.inspect(container)) is not None and facts.running:
            if self._clock.monotonic() > until_s:
                raise ImageError(f"no server answered within {_DEADLINE_S:.0f} s{self._said(container)}")
            self._clock.sleep(_POLL_S)
        proof = self._guests.proof(guest)
        if facts is None:
            raise GuestError("the container of the proof was removed by another program")
        if proof is None:
            why = "took more memory than `memory` allows" if facts.out_of_memory else "answered nobody"
            raise ImageError(f"the server in it {why} (exit code {facts.exit_code}){self._said(container)}")
        return proof

    def _said(self, container: str) -> str:
        lines = [line.strip() for line in self._containers.output(container, lines=_WORDS).splitlines()]
        last = [line for line in lines if line][-_SHOWN:]
        return f"; its output: {' / '.join(last)}" if last else "; it had no output"

    def _remove(self, container: str, guest: str) -> None:
        self._containers.remove(container)
        if guest:
            self._guests.forget(guest)
