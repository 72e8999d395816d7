"""What the hub's pages let a browser fetch ahead: the static files of the page that somebody sees first in a server."""

from __future__ import annotations

import functools
import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

from jupyterhub.user import User

from hubagent.hub.choice import OPTION, chosen
from hubagent.hub.reading import SettingsError, parse, read_bytes
from hubagent.hub.servers import load_servers
from hubagent.hub_documents import FIRST_PAGES

_ADDRESS: Final = re.compile(
    r"/hubagent-static/[0-9a-f]{32}(?:/[\w@+~-][\w@+~.-]{0,199}){1,12}(?:\?v=\w{1,64})?", re.ASCII
)
_OF_JUPYTERLAB: Final = re.compile(r"/hubagent-static/[0-9a-f]{32}/static/lab/.*")
_LAB: Final = re.compile(r"/(?:lab|doc)(?:[/?].*)?")
"""Pages that JupyterLab's files are for: no others are known ahead."""


class FirstPage:
    """`file` is first-pages.json, `servers_file` servers.json. JupyterHub calls it for every page, and templates what
    it returns: pages that tell of an error offer nothing, and must not fail for it."""

    def __init__(self, file: Path, servers_file: Path) -> None:
        self._file = file
        self._servers_file = servers_file

    def __call__(self, user: User | None) -> Callable[[], tuple[str, ...]]:
        return functools.partial(self.addresses, user)

    def addresses(self, user: User | None) -> tuple[str, ...]:
        """Absolute paths in the site, for the server that this user started last, else for the default one. Somebody
        who is not known yet learns of JupyterLab alone, not which extensions there are. Empty when nothing is known:
        pages are as good without."""
        try:
            servers = load_servers(self._servers_file)
            known = parse(read_bytes(self._file), self._file, FIRST_PAGES, lambda _: None)
        except SettingsError:  # said where servers start; of the other file the agent's log tells
            return ()
        if _LAB.fullmatch(servers.landing) is None:
            return ()
        last = None if user is None else (user.spawner.orm_spawner.user_options or {}).get(OPTION)
        name = chosen(servers, last, asked_now=lambda: False)
        wanted = _OF_JUPYTERLAB if user is None else _ADDRESS
        return tuple(
            address
            for address in known.servers.get(name, ())
            if _ADDRESS.fullmatch(address) and wanted.fullmatch(address)
        )
