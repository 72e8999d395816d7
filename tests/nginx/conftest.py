from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .front import Front, Pair, front_in_own_folder, make_pair, site_in
from .stack import Stack
from .tools import DEBIAN_NGINX, newest_nginx
from .tools import tools as make_tools
from .upstream import Proxy, Upstream, proxy, upstream


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session", params=["debian", "newest"])
def program(request: pytest.FixtureRequest) -> str:
    """nginx as Debian packages it, and the newest one."""
    return DEBIAN_NGINX if request.param == "debian" else newest_nginx()


@pytest.fixture(scope="session")
def behind(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Proxy, Upstream, Upstream]]:
    folder = tmp_path_factory.mktemp("proxy")
    with upstream("hub") as hub, upstream("user") as user, proxy(folder, hub, user) as chp:
        yield chp, hub, user


@pytest.fixture(scope="module")
def stack(program: str, pair: Pair, behind: tuple[Proxy, Upstream, Upstream]) -> Iterator[Stack]:
    with front_in_own_folder(program) as front:
        chp, hub, user = behind
        yield Stack(front, front.start(site_in(front, pair, chp.port)), chp, hub, user)


@pytest.fixture
def front(program: str) -> Iterator[Front]:
    with front_in_own_folder(program) as front:
        yield front


@pytest.fixture(scope="session")
def tools() -> Path:
    """Where the commands lie that judge the result."""
    return make_tools()
