"""What an image is built from: pure, from a Build, the shipped files, and the hub's version.

Equal inputs give equal bytes and so the same tag: an image whose tag is there needs no build. The values of the
configuration go into files of data below recipe/; the Dockerfile and the scripts are the same for everybody.
"""

from __future__ import annotations

import hashlib
import io
import json
import re
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hubagent.config.model import Build
from hubagent.errors import ImageError

JULIA_VERSIONS: Final = "julia-versions.json"
"""Of the shipped files: where Julia is downloaded, and the checksums of each version. Only the one that a recipe
needs goes into it, so that a new version in the table rebuilds nothing that does not use it."""

DEBIAN: Final = "debian"
_HASH_DIGITS: Final = 12


@dataclass(frozen=True, slots=True)
class Material:
    """What all recipes of this machine are made with."""

    files: Mapping[str, bytes]  # conf/image as installed, by relative path
    hub_version: str
    authorities: Mapping[str, bytes] = field(default_factory=dict)  # this machine's own, by file name (.crt)


@dataclass(frozen=True, slots=True)
class Recipe:
    """One image to build."""

    image: str  # the name that users' servers are started from
    base: str
    sha256: str
    context: bytes  # a tar archive: the build context

    @property
    def tag(self) -> str:
        """The name of exactly this content."""
        return f"{repository(self.image)}:{self.sha256[:_HASH_DIGITS]}"


def repository(image: str) -> str:
    """The image's name without its tag; a colon before the last slash belongs to a registry's port."""
    head, slash, last = image.rpartition("/")
    return f"{head}{slash}{last.partition(':')[0]}"


def recipe(image: str, build: Build, material: Material) -> Recipe:
    """Raises ImageError when the Julia that is asked for is not known."""
    files = {name: content for name, content in material.files.items() if name != JULIA_VERSIONS} | {
        f"recipe/{name}": content for name, content in _data(build, material).items()
    }
    files |= {f"authorities/{name}": content for name, content in material.authorities.items()}
    whole = hashlib.sha256()
    for name in sorted(files):
        whole.update(f"{name}\0{len(files[name])}\0".encode() + files[name])
    whole.update(f"base\0{build.base}".encode())
    return Recipe(image=image, base=build.base, sha256=whole.hexdigest(), context=_tar(files))


def _data(build: Build, material: Material) -> dict[str, bytes]:
    return {
        "apt.txt": _lines(build.apt),
        "pip.txt": _lines(build.pip),
        "jupyterhub.txt": _lines((f"jupyterhub=={material.hub_version}",)),
        "packages.txt": _lines(build.packages),
        "sysimage.txt": _lines((build.sysimage.value,)),
        "julia.json": (json.dumps(_julia(build.julia, material), indent=1, sort_keys=True) + "\n").encode(),
    }


def _lines(values: tuple[str, ...]) -> bytes:
    """One a line; the grammar of the configuration allows no line break in any of them."""
    assert not any("\n" in value for value in values)
    return "".join(f"{value}\n" for value in values).encode()


def _julia(wanted: str, material: Material) -> dict[str, Any]:
    if wanted == DEBIAN:
        return {"version": DEBIAN}
    table = json.loads(material.files[JULIA_VERSIONS])
    version = newest(wanted, table["versions"])
    if version is None:
        known = sorted({".".join(one.split(".")[:2]) for one in table["versions"]}, key=_number)
        raise ImageError(
            f"Julia {wanted} is not known to this version of hubagent; write one of {', '.join(known)},"
            f" one of their versions that is not newer, or {DEBIAN}"
        )
    folder = {"x86_64": "x64"}
    minor = ".".join(version.split(".")[:2])
    return {
        "version": version,
        "downloads": table["downloads"],
        "binaries": {
            machine: {
                "path": f"linux/{folder.get(machine, machine)}/{minor}/julia-{version}-linux-{machine}.tar.gz",
                "sha256": sha256,
            }
            for machine, sha256 in table["versions"][version].items()
        },
    }


def newest(wanted: str, versions: Mapping[str, object]) -> str | None:
    """The newest known version that `wanted` ("1.12" or "1.12.1") allows."""
    fitting = [one for one in versions if one == wanted or one.startswith(f"{wanted}.")]
    return max(fitting, key=_number, default=None)


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))


def _tar(files: Mapping[str, bytes]) -> bytes:
    """Sorted, owned by root, of no time: the same files are the same bytes."""
    target = io.BytesIO()
    with tarfile.open(fileobj=target, mode="w", format=tarfile.PAX_FORMAT) as archive:
        folder = tarfile.TarInfo("authorities")  # is copied by the Dockerfile, also when it is empty
        folder.type, folder.mode = tarfile.DIRTYPE, 0o755
        archive.addfile(folder)
        for name in sorted(files):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(files[name]), 0o644
            archive.addfile(info, io.BytesIO(files[name]))
    return target.getvalue()
