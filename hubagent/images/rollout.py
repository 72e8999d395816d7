"""From what the configuration asks for to an image that servers start from: build or pull, prove, name it.

The name in `image` is what servers are started from. It is given to an image only once that was proven, so a
moving tag of a registry and a new recipe alike change nothing before their image works.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import NoReturn

from hubagent.config.model import Server
from hubagent.errors import ImageError
from hubagent.images.build_log import BuildLog
from hubagent.images.failures import Failures
from hubagent.images.ports import ImagePorts, Progress
from hubagent.images.proof import Prover
from hubagent.images.recipe import Recipe, recipe, repository
from hubagent.images.reports import Reports
from hubagent.images.store import Store
from hubagent.layout import LABEL_IMAGE, Layout
from hubagent.limits import IMAGE_NEEDS_BYTES
from hubagent.state.status import ImageState

log = logging.getLogger(__name__)


class AbandonedError(ImageError):
    """Nobody wants the image any more, or the agent ends."""


class RefusedError(ImageError):
    """It was tried a moment ago; the message is of then."""


class Rollout:
    """The steps for one server. Raises ImageError, ContainerError, GuestError and StorageError."""

    def __init__(
        self,
        ports: ImagePorts,
        layout: Layout,
        *,
        store: Store,
        prover: Prover,
        reports: Reports,
        is_wanted: Callable[[Server], bool],
    ) -> None:
        self._engine = ports.engine
        self._inputs = ports.inputs
        self._files = ports.files
        self._clock = ports.clock
        self._layout = layout
        self._store = store
        self._prover = prover
        self._reports = reports
        self._is_wanted = is_wanted
        self._failures = Failures()
        self._refused: dict[tuple[str, str], str] = {}  # by server and image: why a newer image is not used

    def forgive(self) -> None:
        """What failed or was refused may be good by now: it is tried at once."""
        self._failures.forgive()
        self._refused.clear()

    def recipe(self, server: Server) -> Recipe | None:
        """What its image is built from; None when it is pulled."""
        if server.build is None:
            return None
        return recipe(server.image, server.build, self._inputs.material())

    def advance(self, server: Server, *, newest: bool) -> bool:
        """Do what is left to do; whether servers start from another image now. `newest` asks the registry
        whether a pulled name means another image by now."""
        wanted = self.recipe(server)
        candidate = self._engine.image_id(wanted.tag if wanted else server.image)
        if candidate is None:
            candidate = self._build(server, wanted) if wanted else self._pull(server)
        elif wanted is None and newest:
            candidate = self._newer(server, candidate)
        self._prove(server, candidate)
        return self._switch(server, candidate)

    def _build(self, server: Server, wanted: Recipe) -> str:
        tried = wanted.sha256
        self._refuse_again(server, tried)
        log_file = str(self._store.log_file(wanted.tag))
        self._reports.put(server, ImageState.BUILDING, f"{wanted.tag} on {wanted.base}", log=log_file)
        lines = BuildLog(lambda text: self._store.write_log(wanted.tag, text), self._clock)

        def watch(progress: Progress) -> None:
            lines.line(progress.line)
            self._reports.progress(server, progress)
            self._still_wanted(server)

        begun_s = self._clock.monotonic()
        log.info("%s: building %s", server.name, wanted.tag)
        try:
            self._check_disk()
            built = self._engine.build(
                wanted,
                labels={LABEL_IMAGE: repository(wanted.image)},
                arguments=self._inputs.arguments(),
                watcher=watch,
            )
        except AbandonedError:
            raise
        except ImageError as error:
            self._fail(server, tried, f"{error}; the whole log is in {log_file}")
        finally:
            lines.write()
        took_s = self._clock.monotonic() - begun_s
        self._reports.built(server, took_s)
        log.info("%s: built %s in %.0f s", server.name, wanted.tag, took_s)
        return built

    def _pull(self, server: Server) -> str:
        self._refuse_again(server, server.image)
        self._reports.put(server, ImageState.PULLING, server.image)
        try:
            self._check_disk()
            return self._fetch(server, self._engine.published(server.image))
        except AbandonedError:
            raise
        except ImageError as error:
            message = f"{server.image} is not on this machine, and cannot be pulled: {error}"
            self._fail(server, server.image, message)

    def _newer(self, server: Server, present: str) -> str:
        """The registry's image of this name, when there is one; else the one that is here."""
        try:
            return self._fetch(server, self._engine.published(server.image))
        except AbandonedError:
            raise
        except ImageError as error:  # of an image that never was in a registry too
            log.info("%s: no newer image: %s", server.name, error)
            return present

    def _fetch(self, server: Server, digest: str) -> str:
        present = self._engine.image_id(f"{repository(server.image.partition('@')[0])}@{digest}")
        if present is not None:
            return present
        self._reports.put(server, ImageState.PULLING, f"{server.image} ({digest})")

        def watch(progress: Progress) -> None:
            self._reports.progress(server, progress)
            self._still_wanted(server)

        log.info("%s: pulling %s (%s)", server.name, server.image, digest)
        return self._engine.pull(server.image, digest, watcher=watch)

    def _prove(self, server: Server, candidate: str) -> None:
        if self._store.proof(candidate) is not None:
            return
        self._refuse_again(server, candidate)
        self._reports.put(server, ImageState.PROVING, f"starting a server of {candidate} once")
        try:
            proof = self._prover.prove(candidate, server)
        except ImageError as error:
            message = f"{server.image}: the new image does not work, so it is not used: {error}"
            if self._engine.image_id(server.image) is None:  # nothing at all is worse than something doubtful
                self._engine.tag(candidate, server.image)
                message = f"{server.image}: the image seems not to work: {error}"
            self._refused[server.name, server.image] = message
            self._fail(server, candidate, message)
        self._store.add_proof(candidate, proof)
        self._refused.pop((server.name, server.image), None)
        log.info("%s: %s is proven, ready in %.1f s", server.name, candidate, proof.ready_s)

    def _switch(self, server: Server, candidate: str) -> bool:
        if "@" not in server.image and self._engine.image_id(server.image) != candidate:
            self._engine.tag(candidate, server.image)
        is_new = self._store.rolled_out(server.name)[:1] != (candidate,)
        if is_new:
            self._store.roll_out(server.name, candidate)
            log.info("%s: servers start from %s now", server.name, candidate)
        self._reports.usable(server, usable=True)
        refused = self._refused.get((server.name, server.image))
        if refused is not None and server.build is None:
            self._reports.put(server, ImageState.FAILED, refused)
        else:
            self._failures.clear(server.name)
            self._reports.put(server, ImageState.PRESENT)
        return is_new

    def _check_disk(self) -> None:
        free = self._files.free_bytes(self._layout.state)
        if free < IMAGE_NEEDS_BYTES:
            raise ImageError(
                f"only {free // 1024**2} MiB are free on this disk; free some, `docker system df` shows what"
                " Docker holds"
            )

    def _still_wanted(self, server: Server) -> None:
        if not self._is_wanted(server):
            raise AbandonedError(f"{server.image} is no longer configured this way")

    def _refuse_again(self, server: Server, tried: str) -> None:
        failure = self._failures.of(server.name, tried)
        if failure is not None and self._clock.monotonic() < failure.until_s:
            raise RefusedError(failure.message)

    def _fail(self, server: Server, tried: str, message: str) -> NoReturn:
        self._failures.add(server.name, tried, message, now_s=self._clock.monotonic())
        log.error("%s: %s", server.name, message)
        raise RefusedError(message)
