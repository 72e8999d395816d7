"""Container images for the machines: made from Debian's packages and PyPI, since no image registry is asked.

An image is a root file system in an archive, imported into a machine's Docker.
"""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import json
import os
import shlex
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from . import caches, paths, root_filesystems
from .locks import locked
from .process import run
from .root_filesystems import Suite
from .sources import Sources, discover

if TYPE_CHECKING:
    from .machine import Machine

_LAYOUT: Final = 1
"""Counts up when this module puts other things into an image, so that cached ones are made anew."""

_IMPORT_S: Final = 300.0
_VENV: Final = "/opt/jupyter"
_REQUIREMENTS: Final = Path(__file__).with_name("image-requirements.txt")

# The way of a Jupyter Docker image: its own environment, an ordinary user with number 1000, work in ~/work. The archive's
# files all get the time of the beginning, so compiled modules that go by it would never be used.
_INSTALL: Final = f"""\
set -eu
chroot "$1" python3 -m venv {_VENV}
chroot "$1" {_VENV}/bin/pip install --quiet --no-cache-dir --no-compile --requirement /image-requirements.txt
chroot "$1" {_VENV}/bin/python -m compileall -q -j 0 --invalidation-mode unchecked-hash {_VENV}/lib || true
rm "$1/image-requirements.txt"
chroot "$1" useradd --uid 1000 --create-home --shell /bin/bash jovyan
chroot "$1" install -d -o jovyan -g jovyan /home/jovyan/work
"""

# All or nothing from the older suite, so that what belongs together comes from there together; whatever else they
# need comes from the image's own suite where that has it.
_INSTALL_OLDSTABLE: Final = """\
set -eu
root=$1
archive=$2
shift 2
echo "deb $archive bullseye main" >"$root/etc/apt/sources.list.d/bullseye.list"
printf 'Package: *\\nPin: release n=bullseye\\nPin-Priority: 50\\n\\nPackage: %s\\nPin: release n=bullseye\\nPin-Priority: 1001\\n' \
    "$*" >"$root/etc/apt/preferences.d/bullseye"
chroot "$root" apt-get update -q
chroot "$root" apt-get install -yq --no-install-recommends --allow-downgrades "$@"
"""


@dataclass(frozen=True, slots=True)
class Image:
    """What a container image is made of."""

    name: str
    suite: Suite
    packages: tuple[str, ...]
    requirements: tuple[Path, ...]
    """Exact versions for pip."""
    environment: Mapping[str, str]
    user: str
    directory: str
    entrypoint: tuple[str, ...]
    command: tuple[str, ...]
    oldstable: tuple[str, ...] = ()
    """Packages that only Debian 11 has, installed on top from there."""

    def key(self, sources: Sources) -> str:
        """Short hash of everything that goes in."""
        parts = [
            _LAYOUT,
            _INSTALL,
            self.suite.value,
            self.packages,
            "".join(part.read_text() for part in self.requirements),
            self.changes,
            sources.lines(self.suite.value),
            sources.authorities,
        ]
        if self.oldstable:
            parts += [_INSTALL_OLDSTABLE, self.oldstable]
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
    requirements=(_REQUIREMENTS,),
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

JULIA: Final = dataclasses.replace(
    NOTEBOOK,
    requirements=(_REQUIREMENTS, Path(__file__).with_name("image-julia-requirements.txt")),
    oldstable=("julia", "libjulia1", "julia-common", "libunwind8"),
)
"""The same with jupyter-server-proxy and a real Julia: 1.5.3 of Debian 11, without IJulia or any other package.

libunwind8 is of the same suite: with Debian 12's, an exception through just-compiled code is a segmentation fault.
"""


def file_system(image: Image, sources: Sources) -> Path:
    """The image's root as a tar archive, made now when it is not there yet (about two minutes)."""
    archive = paths.images() / f"{image.name.replace('/', '-')}-{image.key(sources)}.tar"
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
        trusting = root_filesystems.trust(sources, files)
        (files / _REQUIREMENTS.name).write_text("".join(part.read_text() for part in image.requirements))
        script = Path(work, "install")
        script.write_text(f"#!/bin/sh\n{_INSTALL}")
        script.chmod(0o755)
        scripts = [f"--customize-hook={script}"]
        if image.oldstable:
            older = Path(work, "install-oldstable")
            older.write_text(f"#!/bin/sh\n{_INSTALL_OLDSTABLE}")
            older.chmod(0o755)
            words = shlex.join([sources.archive, *image.oldstable])
            scripts.append(f'--customize-hook={older} "$1" {words}')
        half = archive.with_name(f"half-{archive.name}")
        half.unlink(missing_ok=True)
        root_filesystems.bootstrap(
            image.suite,
            image.packages,
            sources,
            half,
            options=[f"--customize-hook=sync-in {files} /", *trusting, *scripts],
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
