"""`python -m hubagent.hub.check DIR`: would the hub load DIR/hub.json, secrets.json and servers.json?

Starts no hub and changes nothing in a database; one that is a server is connected to, and one that a later JupyterHub
has used is refused. Where it is another database than the hub's, copying what the hub knows into it is tried.
Exit status 0, or 1 with one line on standard error.
secrets.json is taken from $CREDENTIALS_DIRECTORY where that is set.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hubagent.hub.configuration import build_config
from hubagent.hub.database import try_out
from hubagent.hub.moving import rehearse
from hubagent.hub.reading import SettingsError
from hubagent.hub.schema import refuse_later
from hubagent.hub.servers import load_servers
from hubagent.hub.settings import DEFAULT_STATE, load_hub, load_secrets


def check(folder: Path, credentials: Path, state: Path) -> None:
    """Raises SettingsError when the hub would not load these files, or would not do all that they say. Of a generation
    that is in force already the first counts alone: it may be an earlier hubagent's, and serves."""
    settings = load_hub(folder / "hub.json")
    secrets = load_secrets(credentials / "secrets.json")
    in_force = (folder.parents[2] / "current").resolve() == folder.parent.resolve()
    config, _ = build_config(settings, secrets, state, tolerant=in_force)
    load_servers(folder / "servers.json")
    try_out(config.JupyterHub.db_url)
    refuse_later(config.JupyterHub.db_url)
    rehearse(settings, secrets, state)


def main(arguments: Sequence[str] = sys.argv[1:]) -> int:
    if len(arguments) != 1:
        print("usage: python -m hubagent.hub.check DIR", file=sys.stderr)
        return 2
    folder = Path(arguments[0])
    try:
        credentials = Path(os.environ.get("CREDENTIALS_DIRECTORY", folder))
        check(folder, credentials, Path(os.environ.get("STATE_DIRECTORY", DEFAULT_STATE)))
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
