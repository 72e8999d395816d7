"""Pluto at pluto/ and in the launcher. The server loads this by JUPYTER_CONFIG_PATH.

It is the Pluto that runs already, where HUBAGENT_PLUTO_PORT says so, else one that is started when first opened.
"""

import os
from pathlib import Path

c = get_config()  # type: ignore[name-defined]  # noqa: F821

_here = Path(__file__).parent
_folders = os.environ.get("JUPYTER_CONFIG_PATH", "").split(os.pathsep)
os.environ["JUPYTER_CONFIG_PATH"] = os.pathsep.join(one for one in _folders if one != str(_here))
if not os.environ["JUPYTER_CONFIG_PATH"]:
    del os.environ["JUPYTER_CONFIG_PATH"]  # terminals and kernels inherit what the server has

_port = os.environ.pop("HUBAGENT_PLUTO_PORT", "")
_running = {"port": int(_port)} if _port else {}
_started = {
    "command": ["julia", "--startup-file=no", str(_here.parent / "pluto.jl"), "{port}"],
    "timeout": 600,  # seconds; a Pluto that must be compiled first would never come up within less
}

c.ServerProxy.servers.update(
    {
        "pluto": {
            **(_running or _started),
            "launcher_entry": {"title": "Pluto", "icon_path": str(_here / "pluto.svg")},
        }
    }
)
