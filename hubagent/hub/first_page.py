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
from hubagent.wire import LAST_NOTEBOOK, NEW_NOTEBOOK

_ADDRESS: Final = re.compile(
    r"/hubagent-static/[0-9a-f]{32}(?:/[\w@+~-][\w@+~.-]{0,199}){1,12}(?:\?v=\w{1,64})?", re.ASCII
)
_BUNDLE: Final = re.compile(r"/hubagent-static/[0-9a-f]{32}/static/(lab|notebook)/.*")
"""Of an address: of which of the two it is. What has none is an extension's, for the pages of both."""
_PAGE: Final = re.compile(
    r"/(?:(?P<lab>lab|doc)|(?P<notebook>tree|notebooks|edit|consoles|terminals))(?:[/?].*)?"
)
_WORDS: Final = {NEW_NOTEBOOK: ("lab", "notebook"), LAST_NOTEBOOK: ("lab", "notebook")}
"""What each opens in: the first that the image has. Pluto's files are its server's alone."""


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
        who is not known yet learns of the one bundle alone, not which extensions there are. Empty when nothing is
        known: pages are as good without."""
        try:
            servers = load_servers(self._servers_file)
            known = parse(read_bytes(self._file), self._file, FIRST_PAGES, lambda _: None)
        except SettingsError:  # said where servers start; of the other file the agent's log tells
            return ()
        last = None if user is None else (user.spawner.orm_spawner.user_options or {}).get(OPTION)
        name = chosen(servers, last, asked_now=lambda: False)
        addresses = [one for one in known.servers.get(name, ()) if _ADDRESS.fullmatch(one)]
        bundles = {one: found[1] for one in addresses if (found := _BUNDLE.fullmatch(one)) is not None}
        bundle = next((one for one in _bundles(servers.landing) if one in bundles.values()), None)
        if bundle is None:
            return ()
        wanted: set[str | None] = {bundle} if user is None else {bundle, None}
        return tuple(one for one in addresses if bundles.get(one) in wanted)


def _bundles(landing: str) -> tuple[str, ...]:
    """Of the first page, the first that the image has; none where no files are known ahead."""
    page = _PAGE.fullmatch(landing)
    return _WORDS.get(landing, ()) if page is None else (str(page.lastgroup),)
