"""Proving an image: be a server of a made-up user once, and write down what that needed."""

from __future__ import annotations

import http.client
import importlib
import json
import os
import secrets
import shutil
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Mapping
from importlib import metadata, util
from pathlib import Path
from typing import Final

from hubagent import wire
from hubagent.guest import server, static_files
from hubagent.guest.fake_hub import Hub
from hubagent.guest.imports import Watch, watching
from hubagent.guest.preload import NEVER
from hubagent.guest.reply import address, answers

READY_S: Final = 120.0
"""How long a server may take for its first answer (seconds); precompiled files may be missing."""

VISIT_S: Final = 30.0
"""How long it may take for each answer of the first page (seconds)."""

POLL_S: Final = 0.02

USER: Final = "proof"

FIRST_PAGE: Final = (
    "lab",
    "api/me",
    "api/contents?content=1",
    "api/kernelspecs",
    "api/kernels",
    "api/sessions",
    "api/terminals",
    "lab/api/settings",
    "lab/api/workspaces/default",
    "lab/api/translations",
    "lsp/status",
)
"""What JupyterLab asks of its server when it opens, below the user's prefix. Not every image has them all."""

STARTED: Final = ("api/terminals", "api/kernels")
"""What is started once by POST, as the first click does, and deleted again."""

_HUBS: Final = ("JUPYTERHUB_", "JPY_", "MEM_", "CPU_")
"""Beginnings of the variables that the hub gives to a server."""


class NotProvenError(Exception):
    """This image's server does not work; says why."""


def prove(target: Path, known: frozenset[str]) -> None:
    """Start the server in this process; a thread looks at it, writes `target`, and ends the process.

    `known` are the modules of any launcher. Raises NotProvenError when the server does not come up.
    """
    begun_s = time.monotonic()
    script = server.Scripts().find(shutil.which(server.SERVER))
    if script is None:
        raise NotProvenError(f"{server.SERVER} is not on PATH, or is not a script of {sys.executable}")
    token = secrets.token_hex(16)
    hub = Hub(USER, token, metadata.version("jupyterhub"))
    os.environ.update(_environment(hub.url, token, _free_port()))
    os.chdir(tempfile.mkdtemp())
    with watching() as watch:
        observer = _Observer(target, known, watch, begun_s)
        threading.Thread(target=observer.run, name="proof", daemon=True).start()
        try:
            server.run(script, ())
        except SystemExit as end:
            raise NotProvenError(f"{server.SERVER} ended with {end.code!r} before it answered") from end
    raise NotProvenError(f"{server.SERVER} ended before it answered")


class _Observer:
    """The thread beside the server."""

    def __init__(self, target: Path, known: frozenset[str], watch: Watch, begun_s: float) -> None:
        self._target = target
        self._known = known
        self._watch = watch
        self._begun_s = begun_s

    def run(self) -> None:
        """Does not return: the server knows no other end."""
        try:
            self._run()
        except Exception as error:
            print(f"hubagent: cannot prove this image: {type(error).__name__}: {error}", file=sys.stderr)
            os._exit(1)
        os._exit(0)

    def _run(self) -> None:
        where = address(os.environ)
        while not answers(*where):
            if time.monotonic() - self._begun_s > READY_S:
                raise NotProvenError(f"no answer within {READY_S:.0f} s")
            time.sleep(POLL_S)
        ready_s = time.monotonic() - self._begun_s
        _visit(where[0], where[1])
        proof = wire.Proof(
            python=sys.executable,
            modules=_preloadable(tuple(sys.modules), self._known, self._watch),
            kernels=_kernels(),
            pluto=_pluto(),
            ready_s=round(ready_s, 3),
            notebook=notebook(),
        )
        unfinished = self._target.with_suffix(".new")
        unfinished.write_bytes(wire.to_json(proof))
        unfinished.replace(self._target)


def _environment(hub: str, token: str, port: int) -> dict[str, str]:
    """What a hub tells a server; sources: jupyterhub.spawner.Spawner.get_env of JupyterHub 5 and 6."""
    prefix = f"/user/{USER}/"
    return {
        "JPY_API_TOKEN": token,
        "JUPYTERHUB_ACTIVITY_URL": f"{hub}/hub/api/users/{USER}/activity",
        "JUPYTERHUB_API_TOKEN": token,
        "JUPYTERHUB_API_URL": f"{hub}/hub/api",
        "JUPYTERHUB_BASE_URL": "/",
        "JUPYTERHUB_CLIENT_ID": f"jupyterhub-user-{USER}",
        "JUPYTERHUB_DISABLE_USER_CONFIG": "1",
        "JUPYTERHUB_HOST": "",
        "JUPYTERHUB_OAUTH_ACCESS_SCOPES": f'["access:servers!user={USER}"]',
        "JUPYTERHUB_OAUTH_CALLBACK_URL": f"{prefix}oauth_callback",
        "JUPYTERHUB_OAUTH_SCOPES": f'["access:servers!user={USER}"]',
        "JUPYTERHUB_SERVER_NAME": "",
        "JUPYTERHUB_SERVICE_PREFIX": prefix,
        "JUPYTERHUB_SERVICE_URL": f"http://127.0.0.1:{port}{prefix}",
        "JUPYTERHUB_USER": USER,
    }


def _visit(host: str, port: int) -> None:
    """Ask what a first page asks; an image need not answer any of it."""
    for path in FIRST_PAGE:
        _ask(host, port, "GET", path)
    for path in STARTED:
        made = _ask(host, port, "POST", path)
        name = made.get("name") if path.endswith("terminals") else made.get("id")
        if name:
            _ask(host, port, "DELETE", f"{path}/{name}")


def _ask(host: str, port: int, method: str, path: str) -> Mapping[str, object]:
    """The answer's JSON object; empty when it is none."""
    connection = http.client.HTTPConnection(host, port, timeout=VISIT_S)
    try:
        headers = {"Authorization": f"token {os.environ['JUPYTERHUB_API_TOKEN']}"}
        connection.request(method, f"{os.environ['JUPYTERHUB_SERVICE_PREFIX']}{path}", headers=headers)
        found = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError):
        return {}
    finally:
        connection.close()
    return found if isinstance(found, dict) else {}


def _preloadable(names: tuple[str, ...], known: frozenset[str], watch: Watch) -> tuple[str, ...]:
    """Of these modules the ones that can be imported by name and do not depend on whose server it is."""
    bound = watch.depending_on(tuple(_environment("", "", 0)), _HUBS) | NEVER
    return tuple(
        name
        for name in names
        if name not in known and bound.isdisjoint(_with_packages(name)) and _importable(name)
    )


def _with_packages(name: str) -> set[str]:
    """The module and all packages that it is in: they are imported before it."""
    parts = name.split(".")
    return {".".join(parts[: count + 1]) for count in range(len(parts))}


def _importable(name: str) -> bool:
    spec = getattr(sys.modules[name], "__spec__", None)
    if name.partition(".")[0] in {"__main__", "hubagent"} or spec is None or spec.name != name:
        return False
    try:
        return util.find_spec(name) is not None
    except (ImportError, ValueError, AttributeError):
        return False


def _kernels() -> dict[str, str]:
    """Language by kernel name."""
    kernelspec = importlib.import_module("jupyter_client.kernelspec")
    specs = kernelspec.KernelSpecManager().get_all_specs()
    return {name: str(one["spec"].get("language", "")) for name, one in specs.items()}


def _pluto() -> str:
    if util.find_spec("hubagent.guest.pluto") is None:
        return ""
    return str(importlib.import_module("hubagent.guest.pluto").version())


def notebook() -> str:
    """The folder of Notebook's package, if its pages can be told where their files are (7.3 and later). By its real
    name: Docker's archives, and what a server is told, know it by that."""
    spec = util.find_spec("notebook")
    for folder in (spec and spec.submodule_search_locations) or ():
        try:
            is_told = static_files.HOOK in Path(folder, "app.py").read_text()
        except (OSError, ValueError):
            continue
        if is_told:
            return os.path.realpath(folder)
    return ""


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
