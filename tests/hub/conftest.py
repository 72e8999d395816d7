"""Fixtures for each module: a hub with its admin signed in, and one with an agent and a Docker."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from browser import Browser
from hypothesis import HealthCheck, settings
from running import RunningHub, running_hub
from scene import Scene, staged

# Property tests run beside other stages on a busy machine: how long an example takes says nothing there.
settings.register_profile("busy machine", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("busy machine")

ADMIN_PASSWORD = "correct horse battery"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scene]:
    with staged(tmp_path_factory.mktemp("docker")) as scene:
        yield scene


def choose_first_password(hub: RunningHub, name: str = "admin", password: str = ADMIN_PASSWORD) -> Browser:
    """Sign in with the one-time password and choose another one."""
    browser = Browser(hub.url)
    page = browser.sign_in(name, hub.one_time_password(name))
    page = browser.submit(page.form(), password=password, password_again=password)
    assert page.path == "hub/home", page.alert
    return browser


@pytest.fixture(scope="module")
def admin(hub: RunningHub) -> Browser:
    return choose_first_password(hub)
