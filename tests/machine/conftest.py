"""What the machine tests share."""

from __future__ import annotations

import zlib

import pytest

pytest.register_assert_rewrite("tests.machine.secrets")  # so that a failure says which secret lies where

from tests.machine.fixtures import RELEASES, hub, pristine  # noqa: E402
from tests.machine.rig import Suite  # noqa: E402

__all__ = ["hub", "pristine"]


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--one-release",
        action="store_true",
        help="run a test of the installed hub on one Debian release only, half of them on each; "
        "those marked each_release, and those that choose their release, run as they are",
    )


@pytest.hookimpl(tryfirst=True)  # before xdist, which writes the groups into the tests' names
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """With `-n 2 --dist loadgroup`: tests that use the same machine run one after the other, Debian releases
    and modules with machines of their own beside each other."""
    if config.getoption("--one-release"):
        elsewhere = [item for item in items if _is_for_the_other_release(item)]
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]
    for item in items:
        item.add_marker(pytest.mark.xdist_group(_machine_of(item)))


def _is_for_the_other_release(item: pytest.Item) -> bool:
    """Which release a test has is decided by its name, so that it stays where it is when others come and go."""
    callspec = getattr(item, "callspec", None)
    suite = callspec.params.get("hub", callspec.params.get("suite")) if callspec else None
    names = [mark.args[0] for mark in item.iter_markers("parametrize")]
    if suite is None or "hub" in names or item.get_closest_marker("each_release"):
        return False
    function = item.nodeid.partition("[")[0]
    return Suite(suite) != Suite(RELEASES[zlib.crc32(function.encode()) % len(RELEASES)])


def _machine_of(item: pytest.Item) -> str:
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec else ()
    names = [suite.value for suite in Suite for value in values if value in (suite, suite.value)]
    shares = "hub" in getattr(item, "fixturenames", ())
    return " ".join(["hub" if shares else item.nodeid.partition("::")[0], *names])
