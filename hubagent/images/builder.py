"""The images of `servers`: a thread that makes them be what the configuration asks for, one step at a time.

Level-triggered: whatever wakes it, it compares what is asked for with what Docker has. A failure leaves the
image that serves alone, is reported, and is tried again later, when the recipe changes, or when asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Final

from hubagent import wire
from hubagent.config.model import Server
from hubagent.errors import EngineAbsentError, HubagentError, ImageError, StorageError, TemporaryError
from hubagent.images import pruning
from hubagent.images.ports import ImagePorts
from hubagent.images.proof import Prover
from hubagent.images.reports import Reports
from hubagent.images.rollout import AbandonedError, Rollout
from hubagent.images.store import Store
from hubagent.layout import LABEL_BUILD, LABEL_IMAGE, Layout
from hubagent.state.status import ImageState, ImageStatus
from hubagent.worker import Worker

log = logging.getLogger(__name__)

_TIDY_EVERY_S: Final = 600.0


class Images(Worker):
    """Facade for the agent. `servers` is the configuration in force; `on_change` is called, from the thread
    of this class, when what `status` says has changed."""

    def __init__(
        self,
        ports: ImagePorts,
        layout: Layout,
        *,
        servers: Callable[[], Sequence[Server]],
        on_change: Callable[[], None],
    ) -> None:
        super().__init__(name="images")
        self._servers = servers
        self._engine = ports.engine
        self._clock = ports.clock
        self._store = Store(ports.files, layout)
        self._prover = Prover(ports.containers, ports.guests, ports.clock)
        self._reports = Reports(ports.clock, on_change)
        self._on_change = on_change
        self._rollout = Rollout(
            ports,
            layout,
            store=self._store,
            prover=self._prover,
            reports=self._reports,
            is_wanted=self._is_wanted,
        )
        self._next_tidy_s = 0.0
        self._choices: dict[tuple[str, str], str] = {}  # by server and image
        self._is_loaded = False

    def proof(self, image_id: str) -> wire.Proof | None:
        return self._store.proof(image_id)

    def choice(self, server: Server) -> str:
        """What to start servers from: the image of this name, or the last proven one while that is not
        proven. A name, or an id; of the last check, so that it may be asked at every start of a server."""
        return self._choices.get((server.name, server.image), server.image)

    def status(self) -> tuple[ImageStatus, ...]:
        return self._reports.all()

    def check(self, *, asked: bool = False) -> None:
        """One pass over all servers; `asked` tries at once what failed, and asks registries for newer images. Raises
        TemporaryError when it could not even begin."""
        if not self._is_loaded:
            self._store.load()
            self._prover.clear()
            self._is_loaded = True
        if asked:
            self._rollout.forgive()
        servers = self._servers()
        self._reports.keep([server.name for server in servers])
        changed = [self._attend(server, newest=asked) for server in self._by_urgency(servers)]
        if any(changed) or asked or self._clock.monotonic() >= self._next_tidy_s:
            self._tidy(servers)
            self._next_tidy_s = self._clock.monotonic() + _TIDY_EVERY_S

    def _attend(self, server: Server, *, newest: bool) -> bool:
        """Whether its servers start from another image now."""
        if self.is_stopping:
            return False
        self._reports.usable(server, self._is_usable(server))
        try:
            if self._rollout.advance(server, newest=newest):
                self._on_change()
                return True
        except EngineAbsentError as error:  # the agent says so; nothing is known of the image
            log.warning("%s: %s", server.name, error)
        except AbandonedError as error:
            log.info("%s: %s", server.name, error)
            self.wake()
        except HubagentError as error:
            self._reports.put(server, ImageState.FAILED, str(error))
        finally:
            self._reports.usable(server, self._is_usable(server))
        return False

    def _choose(self, server: Server) -> str:
        named = self._engine.image_id(server.image)
        if named is None or self._store.proof(named) is not None:
            return server.image
        history = self._store.rolled_out(server.name)
        return next((one for one in history if self._engine.image_id(one) is not None), server.image)

    def _is_usable(self, server: Server) -> bool:
        """Also remembers what it is started from."""
        try:
            choice = self._choices[server.name, server.image] = self._choose(server)
            return self._engine.image_id(choice) is not None
        except TemporaryError:
            return False

    def _by_urgency(self, servers: Sequence[Server]) -> list[Server]:
        """What is there is quickly proven; what must be built may take an hour."""
        return sorted(servers, key=lambda server: server.build is not None)

    def _is_wanted(self, server: Server) -> bool:
        return not self.is_stopping and any(
            (one.name, one.image, one.build) == (server.name, server.image, server.build)
            for one in self._servers()
        )

    def _tidy(self, servers: Sequence[Server]) -> None:
        """Remove old images, and what is kept of images that are gone."""
        used = set(self._engine.in_use())
        tags = [tag for server in servers if (tag := self._tag(server)) is not None]
        names = [*(server.image for server in servers), *tags]
        needed = used | {image for name in names if (image := self._engine.image_id(name)) is not None}
        built = self._engine.list(label=LABEL_IMAGE)
        for image in pruning.old(built, needed=needed):
            self._remove(image)
        for image in self._replaced(built_ids={one.id for one in built}, needed=needed):
            self._remove(image)
        if all(status.state is ImageState.PRESENT for status in self.status()):
            self._engine.sweep(label=LABEL_BUILD)  # else it is what the next try of a build goes on from
        self._store.forget([image for image in self._store.known() if self._engine.image_id(image) is None])
        kept = [tag for one in self._engine.list(label=LABEL_IMAGE) for tag in one.tags]
        self._store.keep_logs([*kept, *tags])

    def _tag(self, server: Server) -> str | None:
        """What its image is built as, when it is and can be."""
        try:
            wanted = self._rollout.recipe(server)
        except (ImageError, StorageError):
            return None
        return wanted.tag if wanted else None

    def _replaced(self, *, built_ids: set[str], needed: set[str]) -> list[str]:
        """Pulled images that newer ones took the place of; one that has a name is somebody's."""
        histories = [self._store.rolled_out(name) for name in self._store.servers()]
        recent = {image for history in histories for image in history[: pruning.KEPT]}
        old = {image for history in histories for image in history} - recent - built_ids - needed
        return sorted(image for image in old if not self._engine.tags(image))

    def _remove(self, image: str) -> None:
        try:
            self._engine.remove(image)
            log.info("removed the old image %s", image)
        except TemporaryError as error:
            log.info("an old image cannot be removed: %s", error)
