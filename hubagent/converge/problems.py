"""What of the images a person should know: pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Final

from hubagent.state.model import Component
from hubagent.state.status import ImageState, ImageStatus, Problem, Reason

_DOING: Final = {
    ImageState.BUILDING: "is not on this machine yet: it is being built",
    ImageState.PULLING: "is not on this machine yet: it is being pulled",
    ImageState.PROVING: "is not in use yet: it is being tested",
}


def image_problems(
    declared: Mapping[str, str],
    images: Sequence[ImageStatus] | None,
    absent: Collection[str],
) -> tuple[Problem, ...]:
    """One for each server that cannot start, or whose image is not what was asked for. `declared` are the
    images of the servers in force, `absent` the images that are not on this machine; `images` is None where nobody
    looks after them."""
    known = {image.server: image for image in images or ()}
    found = []
    for name, image in declared.items():
        status = known.get(name)
        if status is None or status.image != image or status.state is ImageState.MISSING:
            advice = "; docker pull or docker load it" if images is None else ""
            words = f"{image} is not on this machine{advice}" if image in absent else None
        else:
            words = _words(status)
        if words is not None:
            found.append(Problem(Component.DOCKER, Reason.IMAGE, f"servers.{name}.image: {words}"))
    return tuple(found)


def _words(status: ImageStatus) -> str | None:
    """None while servers start from what was asked for, or from the one before until that is ready."""
    if status.state is ImageState.FAILED:
        return f"{status.detail}; {_MEANWHILE[status.usable]}"
    if status.usable or status.state is ImageState.PRESENT:
        return None
    progress = f" ({status.progress})" if status.progress else ""
    return f"{status.image} {_DOING[status.state]}{progress}; servers start once that is done"


_MEANWHILE: Final = {
    True: "servers start from the existing image; retried automatically, or at once by `hubagent apply`",
    False: "no server of this kind can start; retried automatically, or at once by `hubagent apply`",
}
