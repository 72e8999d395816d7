"""Static files of images, served by nginx in place of users' servers: a thread that takes them out of each proven image
once, and what servers are told of them.

They only make pages quicker. Whatever goes wrong here is said in the status, and pages load their files from users'
servers as they would without it.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Final

from hubagent import wire
from hubagent.codec import Codec, CodecError
from hubagent.config.model import Server
from hubagent.errors import ContainerError, HubagentError, ImageError, StorageError, VerifyError
from hubagent.hub_documents import FIRST_PAGES, FirstPages
from hubagent.images.failures import Failures
from hubagent.images.static_folder import SET_FILE, is_whole
from hubagent.images.static_ports import StaticPorts
from hubagent.images.static_search import Found, Search, Taken, notebook, prefixes
from hubagent.layout import LABEL_STATIC, Layout
from hubagent.limits import STATIC_FILES_NEED_BYTES
from hubagent.pool.inputs import Prove
from hubagent.pool.ports import ContainerSpec
from hubagent.worker import Worker

log = logging.getLogger(__name__)

_MOST_TOLD: Final = 32 * 1024
"""Of what a server is told (bytes): one variable of an environment may be four times as long (execve(2))."""

_INDEX_BYTES: Final = 16 * 1024**2
_PROBE_S: Final = 5.0

_INDEX: Final = Codec(dict[str, Found], strict=False, mark=("format", 1))  # by the image's id


class StaticFiles(Worker):
    """`choice` is what a server's containers are started from, a name or an id. `address` is the name by which people
    reach the site, None while that is not known. `on_change` is called, from the thread, when `why_not` is another.

    `told` is what is added to the environments of servers, by their entry of `servers`. Its image may be another than
    at the last check: the server compares what it is told with what it has."""

    def __init__(
        self,
        ports: StaticPorts,
        *,
        servers: Callable[[], Sequence[Server]],
        choice: Callable[[Server], str],
        proof: Prove,
        address: Callable[[], str | None],
        layout: Layout,
        on_change: Callable[[], None],
    ) -> None:
        super().__init__(name="static files")
        self._servers = servers
        self._choice = choice
        self._proof = proof
        self._address = address
        self._containers = ports.containers
        self._image_files = ports.image_files
        self._sets = ports.sets
        self._probe = ports.probe
        self._files = ports.files
        self._clock = ports.clock
        self._index_file = layout.static_index
        self._first_pages_file = layout.first_pages
        self._on_change = on_change
        self._index: dict[str, Found] = {}
        self._is_loaded = False
        self._again: set[str] = set()  # images that are looked through once more
        self._failures = Failures()
        self.told: dict[str, Mapping[str, str]] = {}
        self._why_not: Mapping[str, str] = {}  # by server
        self._offered: FirstPages | None = None  # None: what an agent before this one has written

    def why_not(self, server: str) -> str:
        """Why pages of this server load files from it, and not from nginx, in words; empty when they do not, and while
        that is not known. Any thread may ask."""
        return self._why_not.get(server, "")

    def check(self, *, asked: bool = False) -> None:
        """Take what is new, see whether nginx serves it, remove what nobody needs; `asked` tries at once what failed or
        was refused. Raises TemporaryError when it could not even begin. What is under way when the agent ends is
        cleared away by the next one."""
        self._load()
        if asked:
            self._failures.forgive()
            self._again = {image for image, found in self._index.items() if found.refused}
        told: dict[str, Mapping[str, str]] = {}
        first_pages: dict[str, tuple[str, ...]] = {}
        why_not: dict[str, str] = {}
        images: set[str] = set()
        for server in self._servers():
            if self.is_stopping:
                return
            image = self._containers.image(self._choice(server))
            if image is None or self._proof(image.id) is None:
                continue  # that is said of the image
            images.add(image.id)
            try:
                found = self._found(server, image.id)
                self._is_served(found)
            except HubagentError as error:
                why_not[server.name] = str(error)
            else:
                taken = _fitting(found)
                told[server.name] = {wire.STATIC_FILES: _tell(taken)}
                first_pages[server.name] = tuple(address for one in taken for address in one.first_page)
                why_not[server.name] = "; ".join(found.refused)
        self._tell(told)
        self._offer(FirstPages(first_pages))
        self._say(why_not)
        if (
            images <= self._index.keys()
        ):  # of an image that cannot be read now there may be sets that pages use
            self._tidy()

    def _found(self, server: Server, image: str) -> Found:
        """What is in the image, looked for once. Raises HubagentError."""
        known = self._index.get(image)
        if known is not None and image not in self._again:
            return known
        self._again.discard(image)
        failure = self._failures.of(server.name, image)
        if failure is not None and self._clock.monotonic() < failure.until_s:
            raise ImageError(failure.message)
        try:
            found = self._take(image)
            self._write({**self._index, image: found})
        except HubagentError as error:
            if known is not None:
                return known
            self._failures.add(server.name, image, str(error), now_s=self._clock.monotonic())
            raise
        self._failures.clear(server.name)
        log.info("%s: took %d folders of static files out of %s", server.name, len(found.taken), image)
        return found

    def _take(self, image: str) -> Found:
        """Raises HubagentError; nothing is left then."""
        free = self._sets.free_bytes()
        if free < STATIC_FILES_NEED_BYTES:
            raise StorageError(
                f"only {free // 1024**2} MiB are free on the disk of {self._index_file.parent};"
                f" {STATIC_FILES_NEED_BYTES // 1024**2} MiB are needed"
            )
        proof = self._proof(image)
        assert proof is not None  # it is asked for before
        before = self._sets.names()
        container = self._containers.create(_spec(image))
        try:
            search = Search(self._image_files, self._sets, container, self._clock)
            return search.all(prefixes(proof.python), notebook(proof.notebook))
        except HubagentError:
            for name in self._sets.names() - before:
                self._sets.remove(name)
            raise
        finally:
            with suppress(ContainerError):  # the next start of the agent removes it
                self._containers.remove(container)

    def _is_served(self, found: Found) -> None:
        """Raises HubagentError unless nginx serves what was found, asked as a browser asks."""
        if not found.taken:
            raise ImageError("; ".join(found.refused) or "no JupyterLab is where hubagent looks for it")
        host = self._address() or "localhost"
        url = f"https://{host}{wire.STATIC_PATH}/{found.taken[0].set}/{SET_FILE}"
        headers = {"Accept-Encoding": "gzip"}
        answer = self._probe.request(url, headers=headers, connect_to="127.0.0.1", timeout_s=_PROBE_S)
        if answer.status != 200:
            raise VerifyError(f"nginx does not serve them: it answers {answer.status} to {url}")
        if not is_whole(found.taken[0].set, answer.body, answer.header("content-encoding")):
            raise VerifyError(f"nginx does not serve them as they are: see {url}")

    def _tell(self, told: Mapping[str, Mapping[str, str]]) -> None:
        self.told.update(told)
        for server in self.told.keys() - told.keys():
            del self.told[server]

    def _offer(self, first_pages: FirstPages) -> None:
        """To the hub, for its pages; without it they only offer nothing new."""
        if first_pages == self._offered:
            return
        content = FIRST_PAGES.dumps(first_pages) + b"\n"
        try:
            self._files.write(self._first_pages_file, content, mode=0o644)
        except StorageError as error:
            log.warning("what browsers may fetch ahead is not told: %s", error)
        else:
            self._offered = first_pages

    def _say(self, why_not: Mapping[str, str]) -> None:
        if why_not == self._why_not:
            return
        for server, words in why_not.items():
            if words and words != self._why_not.get(server):
                log.warning("servers.%s: pages load static files from users' servers: %s", server, words)
        self._why_not = why_not
        self._on_change()

    def _tidy(self) -> None:
        """Sets go with their images, which stay as long as a container of theirs is left."""
        there = {
            image: found for image, found in self._index.items() if self._containers.image(image) is not None
        }
        if there.keys() != self._index.keys():
            self._write(there)
        needed = {one.set for found in self._index.values() for one in found.taken}
        for name in self._sets.names() - needed:
            self._sets.remove(name)

    def _load(self) -> None:
        """What is on the disk: read once, and compared at every check. Raises StorageError, ContainerError."""
        if not self._is_loaded:
            for container in self._containers.list(label=LABEL_STATIC):
                self._containers.remove(container.id)
            self._sets.sweep()
            self._index = self._read()
            self._is_loaded = True
        sets = self._sets.names()
        whole = {
            image: found
            for image, found in self._index.items()
            if all(one.set in sets for one in found.taken)
        }
        if whole.keys() != self._index.keys():
            log.warning(
                "static files of %d images are gone, and are taken again", len(self._index) - len(whole)
            )
            self._write(whole)

    def _read(self) -> dict[str, Found]:
        state = self._files.read(self._index_file, max_bytes=_INDEX_BYTES)
        try:
            return {} if state is None else dict(_INDEX.loads(state.content))
        except CodecError as error:
            log.warning("%s: cannot be used, static files are taken again: %s", self._index_file, error)
            return {}

    def _write(self, index: Mapping[str, Found]) -> None:
        known = dict(index)
        self._files.write(self._index_file, _INDEX.dumps(known) + b"\n", mode=0o600)
        self._index = known


def _spec(image: str) -> ContainerSpec:
    """A container that is never started: Docker gives its files all the same."""
    return ContainerSpec(
        name=f"hubagent-static-{secrets.token_hex(6)}",
        image=image,
        command=("/bin/false",),
        environment={},
        labels={LABEL_STATIC: image},
        network="none",
        memory_bytes=64 * 1024**2,
        cpus=1.0,
        processes=1,
    )


def _fitting(found: Found) -> tuple[Taken, ...]:
    """As many as servers can be told of; JupyterLab's own come first."""
    taken = found.taken
    while len(_tell(taken)) > _MOST_TOLD:
        taken = taken[:-1]
    return taken


def _tell(taken: tuple[Taken, ...]) -> str:
    return wire.tell_static_files(tuple(wire.StaticFolder(one.folder, one.listing, one.url) for one in taken))
