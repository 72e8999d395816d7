"""Where the rig keeps things, and the prefix that marks everything it makes on the host."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Final

PREFIX: Final = "hubagent-"
"""Starts the name of each network namespace, interface, cgroup and packet-filter comment of the rig."""

RUN: Final = Path("/run/hubagent-rig")
"""Host-wide state: one lock for what all sessions share, and the forwarding setting found at first."""

APT_LOCK: Final = Path("/tmp/apt.lock")


def cache() -> Path:
    """The folder for all that is slow to make again."""
    chosen = os.environ.get("HUBAGENT_CACHE")
    return Path(chosen) if chosen else Path.home() / ".cache/hubagent"


def roots() -> Path:
    """Root file systems as compressed archives."""
    return cache() / "roots"


def images() -> Path:
    """Container images as archives."""
    return cache() / "images"


def machines() -> Path:
    """One folder for each machine: its record, its root, its console."""
    return cache() / "machines"
