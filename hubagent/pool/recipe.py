"""The recipe of a slot: a hash of all that decides what is in it. A slot of another recipe than today's is
not what the configuration asks for, and no user gets it."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from hubagent.config.model import Server
from hubagent.render.hub_files import server_digest


def recipe(server: Server, image_id: str, *, program: str) -> str:
    """Hex SHA-256. `program` is the version of the guest's program. `server.warm` is set.

    Of the image the id counts alone: the same one may be meant by several names.
    """
    warm = server.warm
    assert warm is not None
    parts = [
        server.name,
        server_digest(dataclasses.replace(server, image="")),
        image_id,
        None if warm.kernels is None else sorted(warm.kernels.items()),
        warm.pluto,
        program,
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()
