"""The in-memory machines of the unit tests, running by themselves: what `make dev` looks at."""

from __future__ import annotations

import re
import time
from collections.abc import Mapping

from hubagent.adapters.machine.clock import SystemClock
from hubagent.config.model import Config
from hubagent.converge.in_force import Declared
from hubagent.converge.observe import UNITS
from hubagent.ports import UnitVerb
from hubagent.render.generation import Desired
from hubagent.state.model import Component, Step
from hubagent.state.status import ImageStatus, PoolStatus
from hubagent.web.endpoints import Endpoints
from hubagent.web.server import Exposition
from tests.fakes.clock import ManualClock
from tests.fakes.containers_pool import IMAGE
from tests.unit.converge.world import World
from tests.unit.pool.world import World as PoolWorld
from tests.unit.web.shipped import PAGE


class RunningClock(ManualClock):
    """Goes by itself, and ahead of the machine's where somebody sleeps: nothing in memory is worth waiting for."""

    def __init__(self) -> None:
        super().__init__()
        self._ahead_s = 0.0

    def monotonic(self) -> float:
        return time.monotonic() + self._ahead_s

    def time(self) -> float:
        return time.time()

    def zone(self) -> str:
        return SystemClock().zone()

    def advance(self, seconds: float) -> None:
        self._ahead_s += seconds


class Slots:
    """`survey.UserServers`: the warm pool of the tests, with its own thread."""

    def __init__(self, clock: ManualClock) -> None:
        self.world = PoolWorld(clock=clock)
        self.world.config = None

    def fault(self) -> str:
        return ""

    def status(self) -> tuple[PoolStatus, ...]:
        return self.world.pool.status()

    def failed_trials(self) -> Mapping[str, str]:
        return {}

    def users(self) -> Mapping[str, str]:
        return self.world.pool.users()

    def images(self) -> tuple[ImageStatus, ...]:
        return ()

    def homes_waiting(self) -> int:
        return 0


class Machine(World):
    """One whose clock runs, which answers under every name that nginx was told, has every image that the file names,
    and serves its status page for real."""

    def __init__(self, config: str) -> None:
        clock = RunningClock()
        self.slots = Slots(clock)
        super().__init__(config, pools=self.slots, clock=clock)
        self._declared = Declared(self.generations)
        self.endpoints = Endpoints(self.metrics, PAGE)
        self.exposition = Exposition(self.endpoints, self.metrics)
        self.units.on(UNITS[Component.NGINX], self._open_fronts)

    def start(self) -> None:
        self.slots.world.pool.start()

    def stop(self) -> None:
        self.slots.world.pool.stop()
        self.exposition.close()

    def bring_images(self, config: Config) -> None:
        """As if they had been built or pulled."""
        for server in config.servers:
            self.engine.images.setdefault(server.image, IMAGE.id)
            self.slots.world.containers.images.setdefault(server.image, IMAGE)

    def follow(self) -> None:
        """The pool goes by what is in force now."""
        self.slots.world.containers.networks.update(self.engine.by_name)
        self.slots.world.config = self._declared.config()
        self.slots.world.pool.wake()

    def _open_fronts(self, _verb: UnitVerb) -> None:
        for names in re.findall(r"server_name ([^;]+);", self.served):
            for name in names.split():
                self.open_front(f"https://{name}")

    def _move_metrics(self, desired: Desired) -> None:
        metrics = desired.metrics
        self.exposition.switch(self.exposition.bind(metrics.listen, metrics.tls, metrics.users))
        super()._move_metrics(desired)

    def _on_step(self, step: Step, done: bool) -> None:
        self.metrics.step_finished(step, done)
        super()._on_step(step, done)
