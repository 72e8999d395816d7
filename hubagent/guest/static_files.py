"""Pages name nginx's address for files that nginx has as well: JupyterLab's and Notebook's bundles, and extensions'.

A page is told by its configuration where its files are (`fullStaticUrl`; `load` of each of `federated_extensions`).
The server goes on serving them itself: what nginx has not can still be had, and pages of before go on working. A folder
that is another here than what was taken out of the image, by names and sizes of all files, keeps the server's address:
packages may be changed in a container, and in a home.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any, Final

from hubagent import wire

HOOK: Final = "page_config_hook"
"""Setting of Jupyter Server: called as hook(handler, page_config) for each page, returns the configuration
(jupyterlab_server 2.9 and later, notebook 7.3)."""

_PLACE: Final = "fullStaticUrl"
_EXTENSIONS: Final = "federated_extensions"

Page = Mapping[str, Any]
"""What a page is told, as JupyterLab's PageConfig has it."""


class StaticFiles:
    """Looks at folders as seldom as can be: at the first page, and when one of their entries has changed."""

    def __init__(self, folders: tuple[wire.StaticFolder, ...]) -> None:
        self._folders = {one.folder: one for one in folders}
        self._seen: dict[
            str, tuple[int, int, str]
        ] = {}  # by folder: its inode and time, and the listing then

    def url(self, folder: str) -> str | None:
        """Where nginx has what is in this folder now; None when it has not."""
        known = self._folders.get(folder) or self._folders.get(os.path.realpath(folder))
        if known is None:
            return None
        try:
            return known.url if self._listing(known.folder) == known.listing else None
        except OSError:
            return None

    def page(self, handler: Any, config: Page) -> Page:
        """`config` with the addresses of whatever nginx has. Raises anything, of a server that is made otherwise."""
        app = handler.extensionapp
        changed = dict(config)
        own = handler.static_url_prefix.rstrip("/")
        if config.get(_PLACE, "").rstrip("/") == own and app.static_paths:
            url = self.url(os.path.abspath(app.static_paths[0]))
            if url is not None and own.endswith(f"/static/{app.name}"):
                changed[_PLACE] = url
        base = config.get("fullLabextensionsUrl") or ""
        if config.get(_EXTENSIONS) and base.startswith("/"):
            places = [*app.extra_labextensions_path, *app.labextensions_path]
            changed[_EXTENSIONS] = [self._extension(one, places, base) for one in config[_EXTENSIONS]]
        return changed

    def _extension(self, one: Page, places: list[str], base: str) -> Page:
        """With `load` from the root of the site, where nginx has it: a page puts `base` and the name before it."""
        name, load = one["name"], one["load"]
        folder, _, file = load.partition("/")
        found = next((each for each in places if os.path.exists(f"{each}/{name}/package.json")), None)
        url = None if found is None else self.url(os.path.abspath(f"{found}/{name}/{folder}"))
        if url is None or not file or ".." in load.split("/"):
            return one
        up = "/".join([".."] * len(f"{base}/{name}".strip("/").split("/")))
        return {**one, "load": f"{up}{url}/{file}"}

    def _listing(self, folder: str) -> str:
        facts = os.stat(folder)
        before = self._seen.get(folder)
        if before is not None and before[:2] == (facts.st_ino, facts.st_mtime_ns):
            return before[2]
        listing = wire.listing_of(_sizes(folder))
        self._seen[folder] = facts.st_ino, facts.st_mtime_ns, listing
        return listing


def _sizes(folder: str) -> dict[str, int]:
    """Of all files below, by their path from there; a link counts as the link."""
    found: dict[str, int] = {}
    below = [""]
    while below:
        path = below.pop()
        with os.scandir(f"{folder}/{path}") as entries:
            for entry in entries:
                name = f"{path}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    below.append(f"{name}/")
                else:
                    found[name] = entry.stat(follow_symlinks=False).st_size
    return found


_files = StaticFiles(())


def add(config: Any, told: str) -> None:
    """Called in the server, while it reads its configuration; `told` is the value of wire.STATIC_FILES."""
    global _files
    folders = wire.static_files_told(told)
    if folders:
        _files = StaticFiles(folders)
        config.ServerApp.jpserver_extensions.update({__name__: True})


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    from tornado.ioloop import IOLoop  # type: ignore[import-not-found]  # the image's

    # Once all extensions are loaded: JupyterHub's sets a hook of its own, whatever is there.
    IOLoop.current().add_callback(_install, server.web_app.settings)


def _install(settings: dict[str, Any]) -> None:
    files, usual = _files, settings.get(HOOK)

    def hook(handler: Any, config: Page) -> Page:
        if usual is not None:
            config = usual(handler, config)
        try:
            return files.page(handler, config)
        except Exception as error:  # of a server that is made otherwise: its own address is always right
            handler.log.warning("hubagent: static files come from this server: %r", error)
            return config

    settings[HOOK] = hook
