"""What the machine tests share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine.fixtures import hub, pristine
from tests.machine.rig import NOTEBOOK, Machine, Suite

__all__ = ["hub", "machine", "pristine"]


@pytest.fixture(scope="session", params=list(Suite), ids=lambda suite: suite.value)
def machine(request: pytest.FixtureRequest) -> Iterator[Machine]:
    """One machine of each suite for the whole session, with the user image in its Docker; tests may build on it."""
    with Machine.boot(request.param, image=NOTEBOOK) as booted:
        yield booted
