"""Docker's data folder with an image already in it, one for each suite: a machine gets it in a second or two.

Docker never writes into the layer of an image, so the layers are copied by hard links; removing an image removes links.
The small rest is copied. `docker load` in each machine takes ten times as long. Mounting shared layers would take no time,
but Docker unmounts everything below its folder when it stops.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from . import caches, images, paths
from .images import Image
from .locks import locked
from .process import run
from .root_filesystems import Suite
from .sources import discover

if TYPE_CHECKING:
    from .machine import Machine

_LAYERS = "overlay2"
_OF_ONE_ENGINE = "engine-id"


def ensure(image: Image, suite: Suite, boot: Callable[[], Machine]) -> Path:
    """The kept data folder with `image` in it, made now in a machine that `boot` returns when there is none yet."""
    kept = paths.images() / f"docker-{suite.value}-{image.key(discover())}"
    if not kept.exists():
        with locked(kept.with_name(f"{kept.name}.lock")):
            if not kept.exists():
                _make(image, kept, boot)
    return caches.used(kept)


def copy(kept: Path, target: Path) -> None:
    """Make `target` the data folder of a machine that is off."""
    target.mkdir(mode=0o710)
    for part in sorted(kept.iterdir()):
        how = "-al" if part.name == _LAYERS else "-a"
        run(["cp", how, str(part), str(target / part.name)])


def _make(image: Image, kept: Path, boot: Callable[[], Machine]) -> None:
    images.file_system(image, discover())
    with boot() as machine:
        images.load(machine, image)
        machine.power_off()
        (machine.disk.docker / _OF_ONE_ENGINE).unlink(missing_ok=True)
        machine.disk.docker.rename(kept)
