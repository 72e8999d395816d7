"""A thread that works whenever it is woken, and every minute anyway."""

from __future__ import annotations

import logging
import threading
from abc import ABC, abstractmethod
from typing import Final

from hubagent.errors import TemporaryError
from hubagent.threads import NamedThread

log = logging.getLogger(__name__)

_POLL_S: Final = 60.0
_JOIN_S: Final = 2.0  # what is under way ends with the process that follows it


class Worker(ABC):
    """What has such a thread of its own. `name` is for the log."""

    def __init__(self, *, name: str) -> None:
        self._name = name
        self._is_asked = threading.Event()
        self._wake = threading.Event()
        self._stopping = threading.Event()
        # A daemon: a build that says nothing for an hour must not keep the process from ending.
        self._thread = NamedThread(self._run, name=name)

    @abstractmethod
    def check(self, *, asked: bool = False) -> None:
        """Do what is to be done now. `asked`: a person wants what failed to be tried at once. May raise anything."""

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        self._wake.set()
        if self._thread.is_alive():
            self._thread.join(_JOIN_S)

    def wake(self, *, asked: bool = False) -> None:
        if asked:
            self._is_asked.set()
        self._wake.set()

    @property
    def is_stopping(self) -> bool:
        return self._stopping.is_set()

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._wake.clear()
            asked = self._is_asked.is_set()
            self._is_asked.clear()
            try:
                self.check(asked=asked)
            except TemporaryError as error:
                log.warning("%s: %s", self._name, error)
            except Exception:
                log.exception("%s: a check failed", self._name)
            self._wake.wait(_POLL_S)
