"""Pluto in the server's launcher, and at pluto/ below its address: what jupyter-server-proxy is told of it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any, Final, Protocol

_HERE: Final = Path(__file__).parent

REPORT: Final = "HUBAGENT_PLUTO_BUSY"
"""Of Pluto's own environment: the file in which it says since when cells run; see hubagent.guest.busy."""

_TIMEOUT_S: Final = 600
"""A Pluto that must be compiled first would never come up within less."""

_ASKS_FIRST: Final = 4
"""The first major version of jupyter-server-proxy for which an empty command means that the process runs already."""


class Running(Protocol):
    """A Pluto that was started before anybody asked for it."""

    @property
    def port(self) -> int: ...

    def opened(self) -> bool:
        """Called when it is opened for the first time: whether it runs, and will. False: it has to be started."""
        ...


def add(config: Any, running: Running | None, report: Path | None) -> None:
    """Add the Pluto that runs, or one that is started when it is opened; it writes `report`."""
    where: dict[str, object] = {"command": cold_command(), "timeout": _TIMEOUT_S}
    if report is not None:
        where["environment"] = {REPORT: str(report)}
    if running is not None:
        where["port"] = running.port
        if can_ask():
            where["command"] = _asking(running)
        else:
            del where["command"]
    entry = {"title": "Pluto", "icon_path": str(_HERE / "pluto.svg")}
    config.ServerProxy.servers.update({"pluto": {**where, "launcher_entry": entry}})


def new_report() -> Path | None:
    """A file of this server's own for the report; None where no file can be made."""
    try:
        return Path(tempfile.mkdtemp(prefix="hubagent-pluto-")) / "busy"
    except OSError:
        return None


def can_ask() -> bool:
    """Whether this server asks for the command when Pluto is opened. If not, one that runs has to stay."""
    try:
        major = metadata.version("jupyter-server-proxy").partition(".")[0]
    except metadata.PackageNotFoundError:
        return False
    return major.isdigit() and int(major) >= _ASKS_FIRST


def cold_command() -> list[str]:
    return ["julia", "--startup-file=no", str(_HERE / "pluto.jl"), "{port}"]


def _asking(running: Running) -> Callable[[], Sequence[str]]:
    def command() -> list[str]:
        return [] if running.opened() else cold_command()

    return command
