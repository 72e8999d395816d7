"""A real browser outside the machine, against hubagent installed inside it."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.people import Person
from tests.machine.fixtures import hub
from tests.machine.hub import Hub

_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    if shutil.which("chromium") is None:
        subprocess.run(["packaging/apt_install.sh", "chromium"], check=True)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=list(_FLAGS), chromium_sandbox=False
        )
        yield chromium
        chromium.close()


@pytest.fixture
def person(browser: Browser, hub: Hub, request: pytest.FixtureRequest) -> Iterator[Callable[[], Person]]:
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
