"""Container images for the machines: made from Debian's packages and PyPI, since no image registry is asked.

An image is a root file system in an archive, imported into a machine's Docker.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import caches, places, roots
from .locks import locked
from .process import run
from .roots import Suite
from .sources import Sources, discover

if TYPE_CHECKING:
    from .machine import Machine

_LAYOUT: Final = 1
"""Counts up when this module puts other things into an image, so that cached ones are made anew."""

_IMPORT_S: Final = 300.0
_VENV: Final = "/opt/jupyter"

# The way of a Jupyter Docker image: its own environment, an ordinary user with number 1000, work in ~/work.
_INSTALL: Final = f"""\
set -eu
chroot "$1" python3 -m venv {_VENV}
chroot "$1" {_VENV}/bin/pip install --quiet --no-cache-dir --requirement /image-requirements.txt
rm "$1/image-requirements.txt"
chroot "$1" useradd --uid 1000 --create-home --shell /bin/bash jovyan
chroot "$1" install -d -o jovyan -g jovyan /home/jovyan/work
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What a container image is made of."""

    name: str
    suite: Suite
    packages: tuple[str, ...]
    requirements: Path
    """Exact versions for pip."""
    environment: Mapping[str, str]
    user: str
    directory: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]

    def key(self, sources: Sources) -> str:
        """Short hash of everything that goes in."""
        parts = [
            _LAYOUT,
            _INSTALL,
            self.suite.value,
            self.packages,
            self.requirements.read_text(),
            self.changes,
            sources.lines(self.suite.value),
            sources.authorities,
        ]
        return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]

    @property
    def changes(self) -> list[str]:
        """Dockerfile lines that `docker import` applies."""
        return [
            *(f"ENV {key}={value}" for key, value in self.environment.items()),
            f"USER {self.user}",
            f"WORKDIR {self.directory}",
            f"ENTRYPOINT {json.dumps(self.entrypoint)}",
            f"CMD {json.dumps(self.command)}",
        ]


NOTEBOOK: Final = Image(
    name="hubagent/julia",
    suite=Suite.BOOKWORM,
    packages=("bash", "ca-certificates", "procps", "python3", "python3-venv", "tini"),
    requirements=Path(__file__).with_name("image-requirements.txt"),
    environment={
        "PATH": f"{_VENV}/bin:/usr/local/bin:/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "SHELL": "/bin/bash",
        "HOME": "/home/jovyan",
    },
    user="jovyan",
    directory="/home/jovyan/work",
    entrypoint=("tini", "-g", "--"),
    command=("jupyterhub-singleuser",),
)
"""JupyterLab with the Python kernel, under the name that the shipped configuration expects."""


def file_system(image: Image, sources: Sources) -> Path:
    """The image's root as a tar archive, made now when it is not there yet (about two minutes)."""
    archive = places.images() / f"{image.name.replace('/', '-')}-{image.key(sources)}.tar"
    if not archive.exists():
        with locked(archive.with_name(f"{archive.name}.lock")):
            if not archive.exists():
                _build(image, sources, archive)
    return caches.used(archive)


def load(machine: Machine, image: Image) -> None:
    """Import the image into the machine's running Docker, under its name."""
    changes = [word for change in image.changes for word in ("--change", change)]
    with file_system(image, discover()).open("rb") as archive:
        machine.run(["docker", "import", *changes, "-", image.name], input=archive, timeout_s=_IMPORT_S)


def _build(image: Image, sources: Sources, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        files = Path(work, "files")
        trusting = roots.trust(sources, files)
        (files / image.requirements.name).write_bytes(image.requirements.read_bytes())
        script = Path(work, "install")
        script.write_text(f"#!/bin/sh\n{_INSTALL}")
        script.chmod(0o755)
        half = archive.with_name(f"half-{archive.name}")
        half.unlink(missing_ok=True)
        roots.bootstrap(
            image.suite,
            image.packages,
            sources,
            half,
            options=[f"--customize-hook=sync-in {files} /", *trusting, f"--customize-hook={script}"],
            environment=_pip_environment(sources),
        )
    half.rename(archive)


def _pip_environment(sources: Sources) -> dict[str, str]:
    """For pip inside a root that trusts what this host trusts."""
    env = {**sources.environment, "PIP_CERT": "/etc/ssl/certs/ca-certificates.crt"}
    if index := _pip_index():
        env["PIP_INDEX_URL"] = index
    return env


@functools.cache
def _pip_index() -> str | None:
    """Another package index than pip's own, when this host is set to one."""
    if os.environ.get("PIP_INDEX_URL"):
        return os.environ["PIP_INDEX_URL"]
    found = run([sys.executable, "-m", "pip", "config", "get", "global.index-url"], check=False)
    return found.stdout.strip() or None if found.ok else None
