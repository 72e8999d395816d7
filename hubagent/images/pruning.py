"""Which images are old: pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from typing import Final

from hubagent.images.ports import LocalImage
from hubagent.images.recipe import repository
from hubagent.layout import LABEL_IMAGE

KEPT: Final = 3
"""Of each name: today's, and two to go back to."""


def old(images: Sequence[LocalImage], *, needed: Collection[str]) -> tuple[str, ...]:
    """Ids of images built here that can go: not among the newest of their name, nor among the `needed` ids,
    nor known under a name that somebody else gave."""
    groups: dict[str, list[LocalImage]] = defaultdict(list)
    for image in images:
        groups[image.labels.get(LABEL_IMAGE, "")].append(image)
    return tuple(
        image.id
        for name, group in sorted(groups.items())
        for image in sorted(group, key=lambda one: one.created_s, reverse=True)[KEPT:]
        if image.id not in needed and all(repository(tag) == name for tag in image.tags)
    )
