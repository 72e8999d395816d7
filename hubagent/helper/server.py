"""The helper's socket: a thread for each connection, one request on each, for root alone.

What some requests ask for lasts as long as their connection.
"""

from __future__ import annotations

import logging
import select
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.helper.refusal import RefusalError
from hubagent.helper.slots import Slots
from hubagent.helper.yielding import Yielding
from hubagent.request_server import Limits, Refusals, RequestServer, listen_at
from hubagent.wire import peer

_LOG = logging.getLogger(__name__)

CONNECTIONS: Final = 128
ATTACHING: Final = 96
"""Fewer than connections: attaches that hang on a dead file server leave room for detaching."""

_LIMITS: Final = Limits(workers=CONNECTIONS, waiting=0, request_s=2.0, idle_s=0.0, stop_s=5.0)
_REFUSALS: Final = Refusals(
    busy=wire.Refused("busy", "the homes helper has too many requests at once; try again"),
    failed=wire.Refused("home", "the homes helper failed; see `journalctl -u hubagent-homes.service`"),
    stranger=wire.Refused("not_allowed", "only root may ask the homes helper"),
    misunderstood="the homes helper did not understand: ",
)
_REQUESTS: Final = (wire.Prepare, wire.Attach, wire.Detach, wire.ListSlots, wire.IdleDocker, wire.Freeze)

_STACK_BYTES: Final = 512 * 1024


class Server:
    """Listens from the beginning on (raises OSError); an earlier process's socket is replaced."""

    def __init__(self, path: Path, slots: Slots, yielding: Yielding) -> None:
        self._slots = slots
        self._yielding = yielding
        self._stop = -1
        self._attaching = threading.BoundedSemaphore(ATTACHING)
        # In a folder that only root may enter. Not renamed to its place: this process may rename nothing.
        self._listener = listen_at(path, 0o600)

    def serve(self, stop: int) -> None:
        """Answer until the descriptor `stop` can be read, then finish what is begun, within seconds."""
        self._stop = stop
        threading.stack_size(_STACK_BYTES)
        server = RequestServer(
            "homes",
            self._answer,
            requests=_REQUESTS,
            limits=_LIMITS,
            refusals=_REFUSALS,
            peers_level=logging.DEBUG,  # the agent says by itself what it did not wait for
        )
        server.start(self._listener, frozenset({0}))
        asked_to_stop = select.poll()
        asked_to_stop.register(stop, select.POLLIN)
        asked_to_stop.poll()
        if left := server.stop():
            _LOG.warning("%d requests do not finish and are cut off", left)

    def _answer(self, request: object, connection: socket.socket, lasting: ExitStack) -> object:
        """The answer; what lasts for longer is in `lasting`."""
        try:
            return self._do(request, connection, lasting)
        except RefusalError as error:
            _LOG.warning("refused: %s", error)
            return wire.Refused(error.reason, str(error))

    def _do(self, request: object, connection: socket.socket, lasting: ExitStack) -> object:
        match request:
            case wire.Prepare():
                return self._slots.prepare(request)
            case wire.Attach():
                with self._one_of_the_attaching():
                    answer = self._slots.attach(request, still_wanted=lambda: not peer.has_gone(connection))
                _LOG.info("attached %s to slot %s", request.source, request.slot)
                return answer
            case wire.Detach():
                done = self._slots.detach(request)
                _LOG.info("slot %s is gone", request.slot)
                return done
            case wire.IdleDocker():
                lasting.enter_context(self._yielding.docker())
                lasting.callback(self._wait_for_end, connection, wire.IDLE_AT_MOST_S)
                return wire.Done()
            case wire.Freeze(container):
                lasting.enter_context(self._yielding.container(container))
                lasting.callback(self._wait_for_end, connection, wire.FREEZE_AT_MOST_S)
                return wire.Done()
            case _:
                return self._slots.known()

    def _wait_for_end(self, connection: socket.socket, at_most_s: float) -> None:
        """Until the other side hangs up, or the helper is to end."""
        waiting = select.poll()
        waiting.register(connection, select.POLLIN)
        waiting.register(self._stop, select.POLLIN)
        waiting.poll(at_most_s * 1000)

    @contextmanager
    def _one_of_the_attaching(self) -> Iterator[None]:
        if not self._attaching.acquire(blocking=False):
            raise RefusalError("too many homes are being attached at once; try again", reason="busy")
        try:
            yield
        finally:
            self._attaching.release()
