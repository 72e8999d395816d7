"""Pluto in the server's launcher, and at pluto/ below its address: what jupyter-server-proxy is told of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final

_HERE: Final = Path(__file__).parent

_TIMEOUT_S: Final = 600
"""A Pluto that must be compiled first would never come up within less."""


def add(config: Any, port: int) -> None:
    """Add the Pluto that listens on `port`, or with 0 one that is started when it is opened."""
    where: dict[str, object] = {"port": port} if port else {"command": _command(), "timeout": _TIMEOUT_S}
    entry = {"title": "Pluto", "icon_path": str(_HERE / "pluto.svg")}
    config.ServerProxy.servers.update({"pluto": {**where, "launcher_entry": entry}})


def _command() -> list[str]:
    return ["julia", "--startup-file=no", str(_HERE / "pluto.jl"), "{port}"]
