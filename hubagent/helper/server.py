"""The helper's socket: one thread for each connection, one request on each, for root alone.

What some requests ask for lasts as long as their connection.
"""

from __future__ import annotations

import contextlib
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
from hubagent.wire import peer

_LOG = logging.getLogger(__name__)

TIMEOUT_S: Final = 2.0
"""For a whole request to come, and for an answer to go."""

CONNECTIONS: Final = 128
ATTACHING: Final = 96
"""Fewer than connections: attaches that hang on a dead file server leave room for detaching."""

STOP_S: Final = 5.0
"""How long the end of the helper waits for what it is doing."""

_STACK_BYTES: Final = 512 * 1024


class Server:
    """Listens from the beginning on (raises OSError); an earlier process's socket is replaced."""

    def __init__(self, path: Path, slots: Slots, yielding: Yielding) -> None:
        self._slots = slots
        self._yielding = yielding
        self._stop = -1
        self._attaching = threading.BoundedSemaphore(ATTACHING)
        self._connected = 0
        self._changed = threading.Condition()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            path.unlink(missing_ok=True)
            self._listener.bind(str(path))  # in a folder that only root may enter
            path.chmod(0o600)
            self._listener.listen(CONNECTIONS)
        except BaseException:
            self._listener.close()
            raise

    def serve(self, stop: int) -> None:
        """Answer until the descriptor `stop` can be read, then finish what is begun, within STOP_S."""
        self._stop = stop
        threading.stack_size(_STACK_BYTES)
        waiting = select.poll()
        waiting.register(stop, select.POLLIN)
        waiting.register(self._listener, select.POLLIN)
        while stop not in dict(waiting.poll()):
            connection, _ = self._listener.accept()
            with self._changed:
                has_room = self._connected < CONNECTIONS
                self._connected += has_room
            if has_room:
                threading.Thread(target=self._converse, args=(connection,), daemon=True).start()
            else:
                _turn_away(connection)
        self._listener.close()
        with self._changed:
            if not self._changed.wait_for(lambda: self._connected == 0, STOP_S):
                _LOG.warning("%d requests do not finish and are cut off", self._connected)

    def _converse(self, connection: socket.socket) -> None:
        try:
            with (
                connection,
                contextlib.suppress(wire.WireError),  # nobody waits for the answer
                ExitStack() as lasting,
            ):
                wire.send(connection, self._answer(connection, lasting), timeout_s=TIMEOUT_S)
        finally:
            with self._changed:
                self._connected -= 1
                self._changed.notify_all()

    def _answer(self, connection: socket.socket, lasting: ExitStack) -> object:
        """The answer; what lasts for longer is in `lasting`."""
        try:
            if peer.credentials(connection).uid != 0:
                raise RefusalError("only root may ask the homes helper", reason="not_allowed")
            return self._do(
                wire.receive(
                    connection,
                    *(wire.Prepare, wire.Attach, wire.Detach, wire.ListSlots, wire.IdleDocker, wire.Freeze),
                    timeout_s=TIMEOUT_S,
                ),
                connection,
                lasting,
            )
        except wire.WireError as error:
            return wire.Refused("message", f"the homes helper did not understand: {error}")
        except RefusalError as error:
            _LOG.warning("refused: %s", error)
            return wire.Refused(error.reason, str(error))
        except Exception:
            _LOG.exception("a request failed")
            return wire.Refused("home", "the homes helper failed; see `journalctl -u hubagent-homes.service`")

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


def _turn_away(connection: socket.socket) -> None:
    refusal = wire.Refused("busy", "the homes helper has too many requests at once; try again")
    with connection, contextlib.suppress(wire.WireError):
        wire.send(connection, refusal, timeout_s=0)  # a few bytes, which a new connection takes at once
