"""New homes are made when their owners sign in, not when they click: Docker takes the longest part of a warm start
for it, and a lecture begins with many people who come for the first time.

One home at a time, in a thread of its own, so that those who click meanwhile are not slowed down. Whatever fails here
is done again, and told, when the server starts.
"""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from typing import Final

from hubagent.config.model import Config, Server
from hubagent.errors import HubagentError
from hubagent.pool.inputs import HomeOf
from hubagent.pool.owners import Account
from hubagent.threads import NamedThread

log = logging.getLogger(__name__)

WAITING: Final = 1000
"""So many people may wait for their home; who comes then has it made at the first start."""


class HomePrefetch:
    """`expect` may be called from any thread."""

    def __init__(self, config: Callable[[], Config | None], home_of: HomeOf) -> None:
        self._config = config
        self._home_of = home_of
        self._accounts: queue.Queue[Account | None] = queue.Queue(WAITING)
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        self._thread = NamedThread(self._run, name="arrivals")
        self._thread.start()

    def stop(self, *, timeout_s: float = 5.0) -> None:
        """Returns when the thread has ended, or after `timeout_s`: a call to Docker may last longer."""
        try:
            while True:
                self._accounts.get_nowait()
        except queue.Empty:
            self._accounts.put(None)
        if self._thread is not None:
            self._thread.join(timeout_s)

    def expect(self, account: Account) -> None:
        """Make this account's homes soon."""
        try:
            self._accounts.put_nowait(account)
        except queue.Full:
            log.info("too many people sign in at once; a home is made at its first start")

    def _run(self) -> None:
        while (account := self._accounts.get()) is not None:
            config = self._config()
            for server in homes_ahead(config.servers if config else ()):
                try:
                    self._home_of(server, account)
                except HubagentError as error:
                    log.warning("servers.%s: a home cannot be created in advance: %s", server.name, error)


def homes_ahead(servers: Sequence[Server]) -> tuple[Server, ...]:
    """A server for each kind of home that can be made before it is known which server its owner asks for. A new home
    gets the files of the image that it is first used with, so one that different images share has to wait."""
    sharing: dict[str, list[Server]] = {}
    for server in servers:
        sharing.setdefault(str(server.volume), []).append(server)
    return tuple(those[0] for those in sharing.values() if len({(one.image, one.home) for one in those}) == 1)
