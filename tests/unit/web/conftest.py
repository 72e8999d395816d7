from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest

from hubagent.config.kinds.types import ListenAddress
from hubagent.web.endpoints import Endpoints
from hubagent.web.http_connection import Limits
from hubagent.web.metrics import Metrics
from hubagent.web.server import Exposition, Listener

from . import samples
from .client import Address
from .shipped import PAGE

ANY_PORT = ListenAddress("127.0.0.1", 0)


@dataclass
class Hands:
    """A clock that a test moves."""

    now_s: float = 1000.0

    def __call__(self) -> float:
        return self.now_s


@dataclass
class Rig:
    """An Exposition on loopback with everything that it reads."""

    metrics: Metrics
    endpoints: Endpoints
    exposition: Exposition
    clock: Hands
    listeners: list[Listener] = field(default_factory=list)

    def serve(self, **options: object) -> Address:
        settings = {"listen": ANY_PORT, "tls": None, "users": {}} | options
        listener = self.exposition.bind(**settings)  # type: ignore[arg-type]
        self.exposition.switch(listener)
        return Address(listener.socket.getsockname()[0], listener.port)


def build(limits: Limits | None = None) -> Rig:
    clock = Hands()
    metrics = Metrics(now=lambda: samples.NOW_S)
    endpoints = Endpoints(metrics, PAGE, now=lambda: samples.NOW_S, monotonic=clock)
    return Rig(metrics, endpoints, Exposition(endpoints, metrics, limits=limits), clock)


@pytest.fixture
def rig() -> Iterator[Rig]:
    rig = build()
    yield rig
    rig.exposition.close()


@pytest.fixture
def hasty() -> Iterator[Rig]:
    """With limits short enough to wait for."""
    rig = build(Limits(head_s=0.4, idle_s=0.8, write_s=0.6))
    yield rig
    rig.exposition.close()
