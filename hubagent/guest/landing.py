"""The page that a browser gets at the root of a user's server, where `hub.landing` is a word: only the server knows
which notebooks and kernels there are.

The server sends on to that page, as it does to any other landing, and starts the notebook's kernel meanwhile, by a
session as the page would make it. The page looks for a session of its notebook's path, and finds this one.

Whatever fails on the way leads to the page that JUPYTERHUB_DEFAULT_URL names: an older guest knows that one alone, and
a full disk must not keep anybody out.
"""

from __future__ import annotations

import asyncio
import datetime
import inspect
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from hubagent import wire
from hubagent.guest import notebooks
from hubagent.guest.kernels.specs import meant
from hubagent.guest.notebooks import Kernel

_JULIA: Final = "julia"

_LAB: Final = "lab"
_NOTEBOOK: Final = "notebook"
_PROXY: Final = "jupyter_server_proxy"

_PAGES: Final[Mapping[str, tuple[str, str]]] = {_LAB: ("lab/tree/", "lab"), _NOTEBOOK: ("notebooks/", "tree")}
"""Where a notebook opens, and where nothing does, by the name of the extension that has the pages."""


class Landing:
    """Of one server. `server` is its ServerApp, `kernels` are those that the configuration has wait, the best first."""

    def __init__(self, server: Any, word: str, kernels: Sequence[str], *, pluto: bool) -> None:
        self._settings: Mapping[str, Any] = server.web_app.settings
        self._server = server
        self._word = word
        self._kernels = kernels
        self._pluto = pluto
        self._one_at_a_time = asyncio.Lock()
        self._starting: dict[str, asyncio.Task[None]] = {}

    async def url(self) -> str:
        """Of the page; it is there."""
        try:
            return await self._url()
        except Exception as error:  # of a disk, of files, of a server that is made otherwise
            self._server.log.warning("hubagent: no %s, but the usual page: %r", self._word, error)
            return str(self._settings["default_url"])

    async def _url(self) -> str:
        base = str(self._settings["base_url"])
        extensions = self._extensions()
        pages = next((_PAGES[name] for name in (_LAB, _NOTEBOOK) if name in extensions), None)
        if self._word == wire.PLUTO_PAGE and self._pluto and _PROXY in extensions:
            return f"{base}pluto/"
        if pages is None:
            return str(self._settings["default_url"])
        if self._word not in {wire.NEW_NOTEBOOK, wire.LAST_NOTEBOOK}:
            return f"{base}{pages[1]}"
        async with self._one_at_a_time:
            path = await self._notebook(Path(self._settings["contents_manager"].root_dir))
        return f"{base}{pages[0]}{quote(path)}"

    def _extensions(self) -> frozenset[str]:
        """Names of what is enabled here: packages, and what each of them offers."""
        packages: Mapping[str, Any] = self._server.extension_manager.extensions
        enabled = {name: package for name, package in packages.items() if package.enabled}
        return frozenset(
            (*enabled, *(point for package in enabled.values() for point in package.extension_points))
        )

    async def _notebook(self, root: Path) -> str:
        """The path of the notebook, whose kernel is being started."""
        in_use = {*self._starting, *(one["path"] for one in await _done(self._sessions.list_sessions()))}
        specs = await self._specs()
        kernel: Kernel | None = None
        path = await asyncio.to_thread(notebooks.last, root) if self._word == wire.LAST_NOTEBOOK else None
        if path is None:
            kernel = self._usual(specs)
            today = datetime.date.today()  # noqa: DTZ011 - of the place in which the user is, as the server has it
            path = await asyncio.to_thread(notebooks.new, root, kernel, in_use, today)
        else:
            wanted = await asyncio.to_thread(notebooks.kernel_wanted, root / path)
            kernel = specs.get(wanted or "")
        if kernel is not None and path not in in_use:
            self._starting[path] = asyncio.create_task(self._start(path, kernel.name))
        return path

    async def _start(self, path: str, kernel: str) -> None:
        """As POST /api/sessions would. The page does it again if this fails, and tells why it cannot."""
        try:
            await _done(
                self._sessions.create_session(
                    path=path, name=path.rpartition("/")[2], type="notebook", kernel_name=kernel
                )
            )
        except Exception as error:  # whatever a kernel raises that cannot be started
            self._server.log.warning("hubagent: the kernel of %s was not started: %r", path, error)
        finally:
            del self._starting[path]

    @property
    def _sessions(self) -> Any:
        return self._settings["session_manager"]

    async def _specs(self) -> dict[str, Kernel]:
        found = await _done(self._settings["kernel_spec_manager"].get_all_specs())
        return {
            name: Kernel(name, one["spec"]["display_name"], one["spec"]["language"])
            for name, one in found.items()
        }

    def _usual(self, specs: Mapping[str, Kernel]) -> Kernel | None:
        """What a new notebook gets: the kernel that waits, else Julia, else the server's own choice."""
        languages = {name: one.language for name, one in specs.items()}
        default = getattr(self._settings["kernel_manager"], "default_kernel_name", "")
        for name in (*self._kernels, _JULIA, default):
            kernel = meant(name, languages)
            if kernel is not None:
                return specs[kernel]
        return next(iter(specs.values()), None)


async def _done(result: Any) -> Any:
    """Managers may be of either kind."""
    return await result if inspect.isawaitable(result) else result


_told: tuple[str, tuple[str, ...], bool] = ("", (), False)


def add(config: Any, word: str, kernels: tuple[str, ...], *, pluto: bool) -> None:
    """Called in the server, while it reads its configuration. A word that this guest does not know changes nothing."""
    global _told
    if word in wire.LANDINGS:
        _told = word, kernels, pluto
        config.ServerApp.jpserver_extensions.update({__name__: True})


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    return [{"module": __name__}]


def _load_jupyter_server_extension(server: Any) -> None:
    from jupyter_server.base.handlers import JupyterHandler  # type: ignore[import-not-found]  # the image's
    from tornado import web  # type: ignore[import-not-found]

    word, kernels, pluto = _told
    landing = Landing(server, word, kernels, pluto=pluto)

    class Root(JupyterHandler):  # type: ignore[misc]
        """Found before the server's own, which sends on to `default_url`."""

        @web.authenticated  # type: ignore[untyped-decorator]
        async def get(self) -> None:
            query = self.request.query
            url = await landing.url()
            self.redirect(f"{url}?{query}" if query else url)

    base = server.web_app.settings["base_url"]
    server.web_app.add_handlers(".*$", [(f"{re.escape(base)}?", Root)])
