"""A base image as an administrator may have one: plain Debian 12, with Julia to be had from an older suite.

Made once and kept like the images of the rig: no image registry is asked.
"""

from __future__ import annotations

import hashlib
import json
import tempfile
from pathlib import Path
from typing import Final

from tests.machine.rig import Machine, Suite, caches, paths, root_filesystems
from tests.machine.rig.locks import locked
from tests.machine.rig.sources import Sources, discover

NAME: Final = "local/debian:bookworm"
_PACKAGES: Final = ("ca-certificates",)
_IMPORT_S: Final = 120.0

_JULIA: Final = ("julia", "libjulia1", "julia-common", "libunwind8")
_PREFERENCES: Final = f"""\
Package: *
Pin: release n=bullseye
Pin-Priority: 50

Package: {" ".join(_JULIA)}
Pin: release n=bullseye
Pin-Priority: 1001
"""


def load(machine: Machine) -> str:
    """Import it into the machine's Docker; its name there."""
    with _archive(discover()).open("rb") as archive:
        machine.run(["docker", "import", "-", NAME], input=archive, timeout_s=_IMPORT_S)
    return NAME


def _archive(sources: Sources) -> Path:
    parts = [
        _PACKAGES,
        _PREFERENCES,
        sources.lines(Suite.BOOKWORM.value),
        sources.apt_options,
        sources.authorities,
    ]
    key = hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]
    archive = paths.images() / f"base-{key}.tar"
    if not archive.exists():
        with locked(archive.with_name(f"{archive.name}.lock")):
            if not archive.exists():
                _build(sources, archive)
    return caches.used(archive)


def _build(sources: Sources, archive: Path) -> None:
    archive.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as work:
        files = Path(work, "files")
        hooks = root_filesystems.trust(sources, files)
        apt = files / "etc/apt"
        for name, text in {
            "sources.list.d/bullseye.list": f"deb {sources.archive} bullseye main\n",
            "preferences.d/bullseye": _PREFERENCES,
            "apt.conf.d/90host": "".join(
                f"{line}\n" for line in (*sources.apt_options, 'Acquire::Languages "none";')
            ),
        }.items():
            (apt / name).parent.mkdir(parents=True)
            (apt / name).write_text(text)
        half = archive.with_name(f"half-{archive.name}")
        half.unlink(missing_ok=True)
        options = [f"--customize-hook=sync-in {files} /", *hooks]
        root_filesystems.bootstrap(
            Suite.BOOKWORM, _PACKAGES, sources, half, options=options, environment=sources.environment
        )
    half.rename(archive)
