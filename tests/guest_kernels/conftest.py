"""Servers with and without waiting kernels, for the whole of a module."""

from __future__ import annotations

import json
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.guest_kernels.jupyter import Kernel, Server, server
from tests.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module", params=["ordinary", "waiting"])
def jupyter(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, image_kernels: Path
) -> Iterator[Server]:
    """A claimed server: its kernels start the ordinary way, or waited before."""
    wanted = {"python3": 2, "general": 1} if request.param == "waiting" else {}
    with server(
        tmp_path_factory.mktemp(request.param),
        kernels=wanted,
        environment={"OF_THE_USER": "a value\nof two lines", "JUPYTERHUB_API_TOKEN": "secret-token"},
        image={"OF_THE_IMAGE": "before", "JUPYTER_PATH": str(image_kernels)},
    ) as running:
        wait_until(lambda: running.pong()["ready"], "the kernels wait")
        running.claim()
        yield running


@pytest.fixture
def kernel(jupyter: Server) -> Iterator[Kernel]:
    """A new kernel; one that waited, on a server that keeps them."""
    jupyter.spares()
    kernel = jupyter.start()
    assert kernel.waited == bool(jupyter.wanted)
    yield kernel
    jupyter.call("DELETE", f"kernels/{kernel.id}")


@pytest.fixture
def user_site(jupyter: Server) -> Path:
    """The folder of the user's own packages."""
    major, minor = sys.version_info[:2]
    folder = jupyter.home / f".local/lib/python{major}.{minor}/site-packages"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


@pytest.fixture(scope="session")
def image_kernels(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder for JUPYTER_PATH with one more kernel, `general`: another interpreter, which looks for the user's own
    packages (that of a virtual environment does not)."""
    folder = tmp_path_factory.mktemp("image")
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", "--system-site-packages", folder / "venv"], check=True
    )
    site = next((folder / "venv/lib").glob("python3.*/site-packages"))
    (site / "general.pth").write_text(sysconfig.get_path("purelib") + "\n")
    spec = folder / "kernels/general"
    spec.mkdir(parents=True)
    argv = [str(folder / "venv/bin/python"), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (spec / "kernel.json").write_text(
        json.dumps(
            {
                "argv": argv,
                "display_name": "General",
                "language": "python",
                "env": {"OF_THE_KERNEL": "${HOME}/x"},
            }
        )
    )
    return folder


@pytest.fixture(scope="session")
def julia() -> str:
    """A real Julia, 1.5.3."""
    made = subprocess.run([ROOT / "tests/guest_julia.sh"], stdout=subprocess.PIPE, text=True, check=True)
    return made.stdout.strip()
