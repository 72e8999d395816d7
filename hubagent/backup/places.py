"""Where parts of a backup lie on a machine, and where they wait while one is made or restored."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from hubagent.layout import Layout

DATABASE: Final = "jupyterhub.sqlite"
"""Below Layout.hub_state, as hub.database.sqlite_file says."""

HOMES: Final = "homes"
"""Below Layout.state, as Layout.home_owners: whose each home is."""

CERTBOT: Final = "certbot"
"""Below Layout.state, as Layout.certbot_state: accounts at authorities."""

KEPT_STATE: Final = ("tls", HOMES, CERTBOT)
"""Below Layout.state. Made anew on each machine: generations, proofs of images, and the tokens by which hub,
proxy and agent know each other, which a proxy that goes on running would not learn."""

STAGED: Final = ".restoring"
REPLACED: Final = "replaced-"
"""What a restore found is moved into a folder, or aside under a name, with this and the time."""

MAX_FILE: Final = 1024 * 1024
"""The largest file of /etc or of the certificate's that is taken (bytes)."""


def work_folder(layout: Layout) -> Path:
    """root's alone; empty but for the time of one backup."""
    return layout.state / ".backup"


def environment_file(layout: Layout) -> Path:
    return layout.root / "etc/default/hubagent"


def journal(layout: Layout) -> Path:
    """Exists while a restore exchanges things, and after one that was interrupted."""
    return layout.state / "restore.json"


def is_not_kept(name: str) -> bool:
    """Of what is directly in Layout.hub_state: the database, which is copied in a way of its own, its logs and
    the copies that JupyterHub makes before it upgrades it; and what earlier restores replaced."""
    return name.startswith((DATABASE, REPLACED, STAGED))
