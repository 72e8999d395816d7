"""Everything the convergence needs of the world, in one value; the agent fills it with adapters."""

from __future__ import annotations

from dataclasses import dataclass

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
