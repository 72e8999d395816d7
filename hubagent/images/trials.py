"""Does a server start with what an entry of `servers` says? Tried once for each change, beside the users.

An image is proven alone. What else an entry says (folders that are not there, a device without its driver, a
variable that breaks the server, a home where none can be) shows only when a container is made from all of it.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Callable, Mapping
from typing import Final

from hubagent.codec import Codec, CodecError
from hubagent.config.model import Config, Server
from hubagent.config.reading.rules import extras
from hubagent.errors import EngineAbsentError, GuestError, HubagentError, StorageError
from hubagent.images.failures import Failures
from hubagent.images.ports import ImagePorts
from hubagent.images.proof import CPU_SHARES, Prover
from hubagent.layout import LABEL_GUEST, LABEL_TRIAL, Layout
from hubagent.pool.inputs import Prove
from hubagent.pool.ports import ContainerSpec, ImageFacts
from hubagent.pool.spec import Specs
from hubagent.render.hub_files import server_digest
from hubagent.worker import Worker

log = logging.getLogger(__name__)

_MAX_BYTES: Final = 1024**2
_PASSED: Final = Codec(dict[str, str], strict=False)


class Trials(Worker):
    """A thread that tries what has not been tried. `config` is the one in force, with the image of each server
    that may be started now; `on_change` is called, from the thread, when `failed` is another."""

    def __init__(
        self,
        ports: ImagePorts,
        layout: Layout,
        *,
        config: Callable[[], Config | None],
        specs: Specs,
        give_home: Callable[[str, Server, ImageFacts], None],
        proof: Prove,
        on_change: Callable[[], None],
    ) -> None:
        super().__init__(name="trials")
        self._containers = ports.containers
        self._guests = ports.guests
        self._files = ports.files
        self._clock = ports.clock
        self._layout = layout
        self._config = config
        self._specs = specs
        self._give_home = give_home
        self._proof = proof
        self._on_change = on_change
        self._prover = Prover(ports.containers, ports.guests, ports.clock)
        self._passed: dict[str, str] | None = None  # what each entry was made from, by its name
        self._failures = Failures()
        self._failed: dict[str, str] = {}

    def failed(self) -> Mapping[str, str]:
        """Why no server starts, by the name of the entry; any thread may ask."""
        return dict(self._failed)

    def check(self, *, asked: bool = False) -> None:
        """Try what is new, and what failed and may be tried again. Raises TemporaryError. A trial that is under way
        when the agent ends is cleared away by the next one."""
        if self._passed is None:
            self._clear()
            self._passed = self._read()
        if asked:
            self._failures.forgive()
        config = self._config()
        servers = config.servers if config is not None else ()
        self._forget({server.name for server in servers})
        for server in servers:
            if config is not None and not self.is_stopping:
                self._attend(config, server)

    def _attend(self, config: Config, server: Server) -> None:
        image = self._containers.image(server.image)
        if image is None or self._proof(image.id) is None:
            return  # that is said of the image; it is tried when it is there
        assert self._passed is not None
        made_from = _made_from(config, server, image)
        if self._passed.get(server.name) == made_from:
            self._tell(server.name, "")
            return
        before = self._failures.of(server.name, made_from)
        if before is not None and self._clock.monotonic() < before.until_s:
            self._tell(server.name, before.message)
            return
        try:
            self._try(server, image)
        except (EngineAbsentError, GuestError, StorageError) as error:
            log.warning("%s: cannot be tried now: %s", server.name, error)
        except HubagentError as error:
            self._failures.add(server.name, made_from, str(error), now_s=self._clock.monotonic())
            self._tell(server.name, str(error))
        else:
            self._failures.clear(server.name)
            self._write({**self._passed, server.name: made_from})
            self._tell(server.name, "")

    def _try(self, server: Server, image: ImageFacts) -> None:
        """Raises HubagentError when no server answers in such a container."""
        volume = ""

        def spec_of(guest: str, folder: str) -> ContainerSpec:
            nonlocal volume
            spec = self._specs.trial(server, image, guest=guest, guest_folder=folder, cpu_shares=CPU_SHARES)
            volume = spec.name
            return spec

        try:
            proof = self._prover.run(
                spec_of,
                server,
                made=lambda container: self._give_home(container, server, image),
            )
        finally:
            self._remove_volume(volume)
        log.info("%s: a server starts with these settings, ready in %.1f s", server.name, proof.ready_s)

    def _remove_volume(self, name: str) -> None:
        try:
            if name:
                self._containers.remove_volume(name)
        except HubagentError as error:
            log.warning("a trial's home stays until the agent starts again: %s", error)

    def _tell(self, name: str, why: str) -> None:
        if self._failed.get(name, "") == why:
            return
        failed = {one: words for one, words in self._failed.items() if one != name}
        self._failed = {**failed, name: why} if why else failed
        if why:
            log.error("servers.%s: no server starts with these settings: %s", name, why)
        self._on_change()

    def _forget(self, names: set[str]) -> None:
        for name in self._failed.keys() - names:
            self._tell(name, "")
        assert self._passed is not None
        kept = {name: made_from for name, made_from in self._passed.items() if name in names}
        if kept != self._passed:
            self._write(kept)

    def _clear(self) -> None:
        """Remove what a killed agent left."""
        for container in self._containers.list(label=LABEL_TRIAL):
            self._containers.remove(container.id)
            self._guests.forget(container.labels.get(LABEL_GUEST, ""))
        for volume, labels in self._containers.volume_labels().items():
            if LABEL_TRIAL in labels:
                self._containers.remove_volume(volume)

    def _read(self) -> dict[str, str]:
        state = self._files.read(self._layout.trials, max_bytes=_MAX_BYTES)
        try:
            return dict(_PASSED.loads(state.content)) if state is not None else {}
        except CodecError:
            return {}  # the worst is a trial more

    def _write(self, passed: dict[str, str]) -> None:
        self._passed = passed
        self._files.write(self._layout.trials, _PASSED.dumps(passed), mode=0o600)


def _made_from(config: Config, server: Server, image: ImageFacts) -> str:
    """Identity of all that the container of a server is made from."""
    added = extras(config.hub)
    whole = [server_digest(server), image.id, added.create, added.host]
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()
