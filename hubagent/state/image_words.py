"""Images in words, the same on the status page and in `hubagent status`."""

from __future__ import annotations

from typing import Final

from hubagent.state import words
from hubagent.state.status import ImageState, ImageStatus

_UNDER_WAY: Final = (ImageState.BUILDING, ImageState.PULLING, ImageState.PROVING)


def tone(image: ImageStatus) -> str:
    """good, warn or bad: whether users can start, and whether what is asked for is there."""
    if image.state is ImageState.PRESENT:
        return "good"
    return "warn" if image.usable or image.state in _UNDER_WAY else "bad"


def state(image: ImageStatus) -> str:
    return f"{image.state.value}, {image.progress}" if image.progress else image.state.value


def detail(image: ImageStatus, now_s: float) -> str:
    """What it is about, with since when where that matters."""
    if image.state is ImageState.PRESENT:
        return image.image
    serving = "; the earlier image serves meanwhile" if image.usable else ""
    since = words.duration(now_s - image.since_s)
    return f"{image.detail or image.image}{serving} (for {since})"
