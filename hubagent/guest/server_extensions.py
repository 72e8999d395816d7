"""What hubagent adds to a user's server, started cold or warm: it waits for a hub that is being restarted, logs no
secrets, keeps its databases off networks, offers Pluto, counts a cell that computes as activity, lets nginx serve
static files, and decides where a browser lands.

A server that is started cold is a program of its own from its first line, so all this comes to it as configuration,
by JUPYTER_CONFIG_PATH. The server takes it out of its environment: kernels and terminals inherit what the user's
server has, and never see it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

from hubagent import wire

_VARIABLE: Final = "JUPYTER_CONFIG_PATH"

_FOLDER: Final = str(Path(__file__).with_name("config"))

PLUTO: Final = "HUBAGENT_PLUTO"
"""Says that the server offers Pluto: the port of the one that runs already, or 0 to start it when it is opened."""

KERNELS: Final = "HUBAGENT_KERNELS"
"""Names of kernels, divided by blanks, of which a new notebook gets the first that the image has."""

_OWN: Final = frozenset({_VARIABLE, PLUTO, KERNELS, wire.KEEP_BUSY, wire.LANDING, wire.STATIC_FILES})


def announce(environment: MutableMapping[str, str], kernels: Mapping[str, int]) -> None:
    """Make a server that is started with this environment read them. `kernels` are those that the settings name."""
    others = _others(environment)
    if wire.LANDING in environment:
        environment[KERNELS] = " ".join(name for name, count in kernels.items() if count)
    environment[_VARIABLE] = os.pathsep.join([_FOLDER, *others])


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """What the user's programs get of an environment in which they may be announced."""
    rest = {name: value for name, value in environment.items() if name not in _OWN}
    others = _others(environment)
    return {**rest, _VARIABLE: os.pathsep.join(others)} if others else rest


def add(config: Any) -> None:
    """Called in the server, while it reads its configuration; `config` is a traitlets.config.Config."""
    from hubagent import request_log  # here: the launcher announces, and needs none of them
    from hubagent.guest import databases, hub_retry, own_packages

    port, keep_busy = os.environ.get(PLUTO), os.environ.get(wire.KEEP_BUSY, "")
    static = os.environ.get(wire.STATIC_FILES)
    word, kernels = os.environ.get(wire.LANDING), tuple(os.environ.get(KERNELS, "").split())
    kept = without(os.environ)
    for name in _OWN:
        os.environ.pop(name, None)
    os.environ.update(kept)
    own_packages.give_back(os.environ)
    request_log.install()
    hub_retry.install()
    databases.place(config, os.path.expanduser("~"))
    report: Path | None = None
    if port is not None:
        from hubagent.guest import pluto
        from hubagent.guest.pluto import offer

        running = pluto.running() if int(port) else None
        report = offer.new_report() if running is None else running.report
        offer.add(config, running, report)
    if (limit_s := _seconds(keep_busy)) > 0:
        from hubagent.guest import busy

        busy.add(config, limit_s, report)
    if static is not None:
        from hubagent.guest import static_files

        static_files.add(config, static)
    if word is not None:
        from hubagent.guest import landing

        landing.add(config, word, kernels, pluto=port is not None)


def _seconds(text: str) -> float:
    """0 for whatever is no number: a server without this is better than none."""
    try:
        return float(text)
    except ValueError:
        return 0.0


def _others(environment: Mapping[str, str]) -> list[str]:
    return [one for one in environment.get(_VARIABLE, "").split(os.pathsep) if one not in {"", _FOLDER}]
