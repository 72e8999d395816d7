"""Docker's data folder with an image already in it, one for each suite: a machine gets it at once.

Docker never writes into the layer of an image, so machines share the layers, mounted read-only where their own Docker
expects them, and only the small rest is copied. Removing such an image works: Docker unmounts what it removes.
Measured on two busy cores: `docker load` took 14 s, hard links 6 s (and 9 s to delete them), this 0.1 s.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from . import images, places
from .images import Image
from .locks import locked
from .process import run
from .roots import Suite
from .sources import discover

if TYPE_CHECKING:
    from .machine import Machine

_LAYERS = "overlay2"
_CONTENT = "diff"
_OF_ONE_ENGINE = "engine-id"


def ensure(image: Image, suite: Suite, boot: Callable[[], Machine]) -> Path:
    """The kept data folder with `image` in it, made now in a machine that `boot` returns when there is none yet."""
    kept = places.images() / f"docker-{suite.value}-{image.key(discover())}"
    if not kept.exists():
        with locked(kept.with_name(f"{kept.name}.lock")):
            if not kept.exists():
                _make(image, kept, boot)
    return kept


def copy(kept: Path, target: Path) -> None:
    """Make `target` the data folder of a machine that is off; its layers are empty until mounted."""
    run(["mkdir", "-m", "710", str(target)])
    run(
        ["tar", "-C", str(target), "-x"],
        input=run(["tar", "-C", str(kept), f"--exclude=./{_LAYERS}/*/{_CONTENT}/*", "-c", "."]).out,
    )


def layers(kept: Path, target: Path) -> dict[Path, str]:
    """Which folder of the kept one belongs where in the data folder `target`, as paths below it."""
    shared = {content: str(content.relative_to(kept)) for content in kept.glob(f"{_LAYERS}/*/{_CONTENT}")}
    return {content: inside for content, inside in shared.items() if (target / inside).is_dir()}


def _make(image: Image, kept: Path, boot: Callable[[], Machine]) -> None:
    images.file_system(image, discover())
    with boot() as machine:
        images.load(machine, image)
        machine.power_off()
        (machine.disk.docker / _OF_ONE_ENGINE).unlink(missing_ok=True)
        machine.disk.docker.rename(kept)
