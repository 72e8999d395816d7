"""The built packages, read once."""

from __future__ import annotations

import pytest

from tests.packages.debs import Deb, built


@pytest.fixture(scope="session")
def debs() -> dict[str, Deb]:
    return built()


@pytest.fixture(scope="session")
def agent(debs: dict[str, Deb]) -> Deb:
    return debs["hubagent"]


@pytest.fixture(scope="session")
def hub(debs: dict[str, Deb]) -> Deb:
    return debs["hubagent-jupyterhub"]


@pytest.fixture(scope="session")
def proxy(debs: dict[str, Deb]) -> Deb:
    return debs["hubagent-proxy"]
