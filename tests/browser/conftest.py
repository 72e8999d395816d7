"""A real browser outside the machine, against hubagent installed inside it."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, sync_playwright

from tests.browser.people import Person
from tests.machine.fixtures import hub  # noqa: F401 (a fixture)
from tests.machine.hub import Hub
from tests.machine.rig.client import client_network

_FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    subprocess.run(["packaging/apt_install.sh", "chromium"], check=True)
    with client_network() as network, sync_playwright() as playwright:
        wrapper = tmp_path_factory.mktemp("chromium") / "chromium"
        wrapper.write_text(f'#!/bin/sh\nexec nsenter --net={network.path} /usr/bin/chromium "$@"\n')
        wrapper.chmod(0o755)
        chromium = playwright.chromium.launch(
            executable_path=wrapper, args=list(_FLAGS), chromium_sandbox=False
        )
        yield chromium
        chromium.close()


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
