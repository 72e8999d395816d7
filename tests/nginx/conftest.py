from __future__ import annotations

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hubagent.state.nginx import NginxSite

from .front import Front, front_in_own_folder, make_certificate, site_in
from .upstream import ROOT, Proxy, Upstream, proxy, upstream

HERE = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class Stack:
    """Browser's view of a machine: nginx, configurable-http-proxy, a hub and a user's server."""

    front: Front
    site: NginxSite
    proxy: Proxy
    hub: Upstream
    user: Upstream


@pytest.fixture(scope="session")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture(scope="module")
def stack(pair: tuple[Path, Path]) -> Iterator[Stack]:
    with (
        upstream("hub") as hub,
        upstream("user") as user,
        proxy(hub, user) as chp,
        front_in_own_folder() as front,
    ):
        site = front.start(site_in(front, *pair, chp.port))
        yield Stack(front, site, chp, hub, user)


@pytest.fixture
def front() -> Iterator[Front]:
    with front_in_own_folder() as front:
        yield front


@pytest.fixture(scope="session")
def tools() -> Path:
    """The folder of programs that judge the result: sslyze, gixy."""
    wanted = (HERE / "tools-requirements.txt").read_text()
    folder = ROOT / "build/nginx-tools"
    stamp = folder / ".made-from"
    if not stamp.exists() or stamp.read_text() != wanted:
        subprocess.run(["/usr/bin/python3", "-m", "venv", "--clear", folder], check=True)
        subprocess.run([folder / "bin/pip", "install", "-q", "-r", HERE / "tools-requirements.txt"], check=True)
        stamp.write_text(wanted)
    return folder / "bin"
