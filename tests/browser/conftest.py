"""A real browser outside the machine, against hubagent installed inside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.browser.chromium import chromium
from tests.browser.people import Person
from tests.machine.fixtures import hub  # noqa: F401 (a fixture)
from tests.machine.hub import Hub


@pytest.fixture(scope="session")
def browser(hub: Hub) -> Iterator[Browser]:  # noqa: F811 (the fixture)
    with chromium(hub) as one:
        yield one


@pytest.fixture
def person(
    browser: Browser,
    hub: Hub,  # noqa: F811 (the fixture)
    request: pytest.FixtureRequest,
) -> Iterator[Callable[[], Person]]:
    """Makes people, each with a browser profile of their own."""
    people: list[Person] = []
    folder = Path("build/test/screenshots") / hub.machine.suite.value

    def arrive() -> Person:
        people.append(Person(browser, f"https://{hub.machine.address}", folder))
        return people[-1]

    yield arrive
    for one in people:
        one.picture(f"last-of-{request.node.name}".replace("/", "-")[:80])
        one.close()
