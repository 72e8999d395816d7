"""Somebody who works through the whole soak: asks their server without pause, with one notebook open."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, Protocol

EVERY_S: Final = 0.2


class _Websocket(Protocol):
    @property
    def open(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Failure:
    """`at_s` is in seconds since the beginning of the soak."""

    at_s: float
    what: str


class Background:
    """`ask` makes one request on a connection of its own and returns the status with the body's beginning. Whatever is
    not 200 is a failure, and so is the end of `websocket`. Use as a context manager, once."""

    def __init__(self, ask: Callable[[], tuple[int, str]], websocket: _Websocket, begun_s: float) -> None:
        self.asked = 0
        self.failures: list[Failure] = []
        self.longest_s = 0.0
        self.websocket_closed_s: float | None = None
        self._ask = ask
        self._websocket = websocket
        self._begun_s = begun_s
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)

    def __enter__(self) -> Background:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def _work(self) -> None:
        due_s = time.monotonic()
        while not self._done.wait(max(0.0, due_s - time.monotonic())):
            asked_s = time.monotonic()
            wrong = self._look()
            self.asked += 1
            self.longest_s = max(self.longest_s, time.monotonic() - asked_s)
            if wrong is not None:
                self.failures.append(Failure(asked_s - self._begun_s, wrong))
            if self.websocket_closed_s is None and not self._websocket.open:
                self.websocket_closed_s = time.monotonic() - self._begun_s
            due_s = max(due_s + EVERY_S, time.monotonic())

    def _look(self) -> str | None:
        try:
            status, body = self._ask()
        except OSError as error:
            return repr(error)
        return None if status == 200 else f"{status} {body}"
