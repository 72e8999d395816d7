"""A machine of each suite with hubagent installed from the packages just built; booted once for all tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.machine.hub import Hub, install
from tests.machine.rig import NOTEBOOK, Machine, Suite

REPOSITORY = Path("dist/repo")
RELEASES: Final = tuple(suite.value for suite in Suite)


@pytest.fixture(scope="session", params=RELEASES)
def hub(request: pytest.FixtureRequest) -> Iterator[Hub]:
    with Machine.boot(request.param, image=NOTEBOOK) as machine:
        yield install(machine, REPOSITORY)


@pytest.fixture
def pristine(hub: Hub) -> Iterator[Hub]:
    """The hub with the shipped configuration in force, before and after the test."""
    shipped = hub.machine.read("/usr/share/hubagent/hubagent.yaml")
    _restore(hub, shipped)
    yield hub
    _restore(hub, shipped)


def _restore(hub: Hub, shipped: str) -> None:
    if hub.config() != shipped:
        hub.edit(shipped)
    _, status = hub.apply("--allow-disruption")
    assert status["result"] in ("ok", "noop"), status["problems"]
    assert not status["config_errors"]
