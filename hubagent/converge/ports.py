"""Everything the convergence needs of the world, in one value that the agent fills with adapters; and who counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from hubagent.layout import Layout
from hubagent.ports import (
    CertificateStore,
    Clock,
    ContainerRuntime,
    FileStore,
    HttpProbe,
    MachineFacts,
    UnitManager,
)
from hubagent.render.generation import Templates
from hubagent.state.model import Component


@dataclass(frozen=True, slots=True)
class Ports:
    units: UnitManager
    engine: ContainerRuntime
    files: FileStore
    probe: HttpProbe
    certificates: CertificateStore
    machine: MachineFacts
    clock: Clock
    layout: Layout
    templates: Templates


class Recorder(Protocol):
    """Told of what happens to a component."""

    def rollback(self, component: Component) -> None:
        """A change of it was taken back."""

    def drift(self, component: Component) -> None:
        """It was not as it should be, though nobody had edited the file."""
