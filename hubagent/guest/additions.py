"""What hubagent adds to a user's server, started cold or warm: it waits for a hub that is being restarted, logs no
secrets, keeps its databases off networks, and offers Pluto.

A server that is started cold is a program of its own from its first line, so all this comes to it as configuration,
by JUPYTER_CONFIG_PATH. The server takes it out of its environment: kernels and terminals inherit what the user's
server has, and never see it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from typing import Any, Final

_VARIABLE: Final = "JUPYTER_CONFIG_PATH"

_FOLDER: Final = str(Path(__file__).with_name("config"))

PLUTO: Final = "HUBAGENT_PLUTO"
"""Says that the server offers Pluto: the port of the one that runs already, or 0 to start it when it is opened."""


def announce(environment: MutableMapping[str, str]) -> None:
    """Make a server that is started with this environment read them."""
    others = _others(environment)
    environment[_VARIABLE] = os.pathsep.join([_FOLDER, *others])


def without(environment: Mapping[str, str]) -> dict[str, str]:
    """What the user's programs get of an environment in which they may be announced."""
    rest = {name: value for name, value in environment.items() if name not in {_VARIABLE, PLUTO}}
    others = _others(environment)
    return {**rest, _VARIABLE: os.pathsep.join(others)} if others else rest


def add(config: Any) -> None:
    """Called in the server, while it reads its configuration; `config` is a traitlets.config.Config."""
    from hubagent import request_log  # here: the launcher announces, and needs none of them
    from hubagent.guest import databases, own_packages, patience

    pluto = os.environ.get(PLUTO)
    kept = without(os.environ)
    for name in (_VARIABLE, PLUTO):
        os.environ.pop(name, None)
    os.environ.update(kept)
    own_packages.give_back(os.environ)
    request_log.install()
    patience.install()
    databases.place(config, os.path.expanduser("~"))
    if pluto is not None:
        from hubagent.guest.pluto import offer

        offer.add(config, int(pluto))


def _others(environment: Mapping[str, str]) -> list[str]:
    return [one for one in environment.get(_VARIABLE, "").split(os.pathsep) if one not in {"", _FOLDER}]
