"""What a user's server is told of the static files that nginx serves in its place: STATIC_FILES of its environment.

An environment and no field of Become: a launcher that does not know it yet passes it on, and its pages load from the
user's server as before.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from hubagent.codec import Codec, CodecError

STATIC_FILES: Final = "HUBAGENT_STATIC_FILES"
"""In Become's environment: a StaticFolder for each, as `tell_static_files` writes them. Absent: nginx serves none."""

STATIC_PATH: Final = "/hubagent-static"
"""Where they begin in nginx. There follow the name of the set, and the path below the address of a user's server."""


@dataclass(frozen=True)
class StaticFolder:
    """A folder of an image whose files nginx serves."""

    folder: str  # in the container, an absolute path
    listing: str  # `listing_of` it, as it was taken out of the image
    url: (
        str  # absolute path in the site, such as /hubagent-static/0123456789abcdef0123456789abcdef/static/lab
    )


_TOLD: Final = Codec(tuple[StaticFolder, ...], strict=False)


def tell_static_files(folders: tuple[StaticFolder, ...]) -> str:
    return _TOLD.dumps(folders).decode()


def static_files_told(text: str) -> tuple[StaticFolder, ...]:
    """None when the text is not what `tell_static_files` writes: a page from the user's server is better than none."""
    try:
        return _TOLD.loads(text.encode("utf-8", "surrogateescape"))
    except CodecError:
        return ()


def listing_of(sizes: Mapping[str, int]) -> str:
    """Identity of a folder by names and sizes (bytes) of all its files, by their path in it: 64 hex digits. A page of
    a folder that is another by now must not get the files of what it was; names of bundles have hashes in them, and
    sizes are cheap to ask for. It is no defence: what is served is named by its whole content, which the agent saw."""
    whole = hashlib.sha256()
    for path in sorted(sizes):
        whole.update(f"{sizes[path]} {path}\n".encode("utf-8", "surrogateescape"))
    return whole.hexdigest()
