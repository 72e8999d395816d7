"""Docker's event stream as a hint.

The stream may end, hang, or miss events; nothing may depend on it. It is asked to end by itself every few
minutes, so that a silently dead one does not stay for ever.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable
from typing import Any, Final

import docker.errors
import requests.exceptions

from hubagent.backoff import Backoff
from hubagent.threads import NamedThread

_LOG = logging.getLogger(__name__)

_STREAM_LIFE_S: Final = 300
_BACKOFF: Final = Backoff(first_s=0.5, most_s=30.0)
_JOIN_S: Final = 5.0
_FILTERS: Final = {
    "type": ["container", "network"],
    "event": ["create", "start", "die", "destroy"],
}
_FAULTS: Final = (docker.errors.DockerException, requests.exceptions.RequestException, OSError)


class EngineEvents:
    """A thread that reads events with clients from `connect`, and calls `on_change` after each."""

    def __init__(self, connect: Callable[[], Any], on_change: Callable[[], None]) -> None:
        self._connect = connect
        self._on_change = on_change
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        self._stream: Any = None
        # A daemon: an engine that hangs while the connection is made must not keep the process from ending.
        self._thread = NamedThread(self._read, name="docker-events")

    @property
    def is_following(self) -> bool:
        """Whether what happens from now on will be told, as far as anybody can know."""
        return self._stream is not None

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._stopping.set()
        with self._lock:
            if self._stream is not None:
                _close(self._stream)
        self._thread.join(_JOIN_S)

    def _read(self) -> None:
        failures = 0
        while not self._stopping.is_set():
            try:
                client = self._connect()
            except _FAULTS as error:
                _LOG.info("Docker sends no events: %s", error)
                failures += 1
                self._stopping.wait(_BACKOFF.delay_s(failures))
                continue
            failures = 0
            self._on_change()  # who knows what happened while nobody listened
            with contextlib.closing(client):
                self._follow(client)
            if not self._stopping.is_set():
                self._on_change()

    def _follow(self, client: Any) -> None:
        try:
            stream = client.events(until=int(time.time()) + _STREAM_LIFE_S, filters=_FILTERS)
        except _FAULTS as error:
            _LOG.info("Docker sends no events: %s", error)
            return
        with self._lock:
            self._stream = stream
        try:
            if not self._stopping.is_set():
                for _event in stream:
                    self._on_change()
        except _FAULTS as error:
            _LOG.info("Docker's event stream ended: %s", error)
        finally:
            with self._lock:
                self._stream = None
            _close(stream)


def _close(stream: Any) -> None:
    try:
        stream.close()
    except (*_FAULTS, AttributeError):
        return  # it ended by itself just now
