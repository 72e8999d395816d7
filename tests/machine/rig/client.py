"""A network of a client's own, so that machines which come and go beside do not change the network under it."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import host, network, registry


@contextmanager
def client_network() -> Iterator[network.Network]:
    """A namespace that reaches all machines; gone when the block, or this process, ends."""
    host.require()
    registry.sweep()
    record = registry.reserve(f"client-{os.getpid()}", "none", Path("/"), None, keep=False)
    try:
        made = network.create(record.name)
        registry.update(record, index=made.index)
        yield made
    finally:
        registry.remove(record.name)
