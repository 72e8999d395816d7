"""The homes helper, over its socket: one connection for each call, and none is kept but by what lasts as long."""

from __future__ import annotations

import socket
import time
from pathlib import Path
from typing import Final, TypeVar

from hubagent import wire
from hubagent.errors import HomeError

_QUICK_S: Final = 2.0
_HOLD_S: Final = 0.2  # a user's start waits meanwhile, and goes on without it
_DETACH_S: Final = 6.0  # the helper itself tries for some seconds while a home is still in use

Answer = TypeVar("Answer")


class HomesClient:
    """`pool.ports.Homes`. Safe to share between threads.

    A call that takes longer than its deadline is given up, and then does not attach anything later on.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    def prepare(self, slot: str) -> str:
        return self._ask(wire.Prepare(slot), wire.Prepared, _QUICK_S).path

    def attach(self, slot: str, source: str, folders: tuple[wire.Folder, ...]) -> wire.Attached:
        return self._ask(wire.Attach(slot, source, folders), wire.Attached, _QUICK_S)

    def detach(self, slot: str) -> None:
        self._ask(wire.Detach(slot), wire.Done, _DETACH_S)

    def slots(self) -> tuple[str, ...]:
        return self._ask(wire.ListSlots(), wire.Slots, _QUICK_S).slots

    def idle_docker(self) -> socket.socket:
        return self._hold(wire.IdleDocker())

    def freeze(self, container: str) -> socket.socket:
        return self._hold(wire.Freeze(container))

    def _hold(self, request: object) -> socket.socket:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._converse(connection, request, wire.Done, _HOLD_S)
        except BaseException:
            connection.close()
            raise
        return connection

    def _ask(self, request: object, answer: type[Answer], timeout_s: float) -> Answer:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            return self._converse(connection, request, answer, timeout_s)

    def _converse(
        self, connection: socket.socket, request: object, answer: type[Answer], timeout_s: float
    ) -> Answer:
        deadline_s = time.monotonic() + timeout_s
        try:
            connection.settimeout(timeout_s)
            connection.connect(str(self._path))
            wire.send(connection, request, timeout_s=timeout_s)
            left_s = max(0.0, deadline_s - time.monotonic())
            got = wire.receive(connection, answer, wire.Refused, timeout_s=left_s)
        except (OSError, wire.WireError) as error:
            raise HomeError(
                f"{self._path}: the homes helper did not answer {type(request).__name__}: {error}; "
                "see `systemctl status hubagent-homes.service`"
            ) from error
        if isinstance(got, answer):
            return got
        assert isinstance(got, wire.Refused)
        raise HomeError(got.message)
