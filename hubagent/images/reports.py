"""What is said of each server's image; any thread may read."""

from __future__ import annotations

import dataclasses
import threading
from collections.abc import Callable, Collection

from hubagent.config.model import Server
from hubagent.images.ports import Progress
from hubagent.ports import Clock
from hubagent.state.status import ImageState, ImageStatus


class Reports:
    """One ImageStatus for each server, in the order of the configuration."""

    def __init__(self, clock: Clock, on_change: Callable[[], None]) -> None:
        self._clock = clock
        self._on_change = on_change
        self._lock = threading.Lock()
        self._found: dict[str, ImageStatus] = {}

    def put(
        self,
        server: Server,
        state: ImageState,
        detail: str = "",
        *,
        log: str | None = None,
    ) -> None:
        """`log` stays as it was when it is not said."""
        with self._lock:
            before = self._of(server)
            after = dataclasses.replace(
                before,
                state=state,
                detail=detail,
                progress="",
                log=before.log if log is None else log,
                since_s=before.since_s if before.state is state else self._clock.time(),
            )
            self._found[server.name] = after
        if after != before:
            self._on_change()

    def progress(self, server: Server, progress: Progress) -> None:
        with self._lock:
            before = self._of(server)
            self._found[server.name] = dataclasses.replace(
                before, progress=progress.words, detail=progress.line.strip()
            )
        if progress.words != before.progress:
            self._on_change()

    def usable(self, server: Server, usable: bool) -> None:  # noqa: FBT001
        with self._lock:
            before = self._of(server)
            self._found[server.name] = dataclasses.replace(before, usable=usable)
        if usable != before.usable:
            self._on_change()

    def built(self, server: Server, took_s: float) -> None:
        with self._lock:
            self._found[server.name] = dataclasses.replace(self._of(server), build_s=took_s)

    def keep(self, servers: Collection[str]) -> None:
        """Forget all others."""
        with self._lock:
            self._found = {name: self._found[name] for name in servers if name in self._found}

    def all(self) -> tuple[ImageStatus, ...]:
        with self._lock:
            return tuple(self._found.values())

    def _of(self, server: Server) -> ImageStatus:
        before = self._found.get(server.name)
        if before is None or before.image != server.image:
            return ImageStatus(server.name, server.image, ImageState.MISSING, since_s=self._clock.time())
        return before
