"""What the machine tests share."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from tests.machine.fixtures import hub, pristine
from tests.machine.rig import Suite

__all__ = ["hub", "pristine"]


@pytest.hookimpl(tryfirst=True)  # before xdist, which writes the groups into the tests' names
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """With `-n 2 --dist loadgroup`: tests that use the same machine run one after the other, Debian releases
    and modules with machines of their own beside each other."""
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_machine_of(item)))


def _machine_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec else ()
    names = [suite.value for suite in Suite for value in values if value in (suite, suite.value)]
    shares = "hub" in getattr(item, "fixturenames", ())
    return " ".join(["hub" if shares else item.nodeid.partition("::")[0], *names])
