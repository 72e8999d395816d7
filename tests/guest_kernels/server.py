"""A user's server as the guest's launcher makes one, for tests:  python server.py SETTINGS PORT READY

SETTINGS is a JSON object: `kernels` (wanted, by name), `pause_s`, `unused_s`, `pluto`, `pages` (extensions that have some), `environment` (the user's), `directory`.
With no kernels it is the ordinary server. Waits for a line on standard input between warm and claim, as a slot does.
While the file `short` is in the home's parent, memory is short.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from hubagent.guest import companions, server_extensions
from hubagent.guest.kernels.companion import Kernels
from hubagent.guest.pluto.companion import Pluto


def main() -> None:
    settings = json.loads(sys.argv[1])
    beside: list[companions.Companion] = []
    if settings["kernels"]:
        beside.append(Kernels(settings["kernels"], pause_s=settings["pause_s"]))
    if settings["pluto"]:
        beside.append(Pluto(settings["directory"], back_off_s=(0.1,)))
    warm = companions.Companions(
        tuple(beside),
        unused_s=settings["unused_s"],
        poll_s=0.1,
        folder=Path(settings["directory"]).parent,
        is_short=(Path(settings["directory"]).parent / "short").exists,
    )
    for line in sys.stdin:
        if line == "claim\n":
            break
        pong = warm.pong()
        print(
            json.dumps(
                {
                    "ready": pong.ready,
                    "detail": pong.detail,
                    "kernels": dict(pong.kernels),
                    "pluto": pong.pluto,
                }
            ),
            flush=True,
        )
    os.environ.update(settings["environment"])
    os.chdir(settings["directory"])
    faults = warm.before_server(dict(os.environ))
    assert not faults, faults
    server_extensions.announce(os.environ, settings["kernels"])
    own = Path.home() / ".jupyter/jupyter_server_config.json"
    own.parent.mkdir(exist_ok=True)
    without = dict.fromkeys(
        {"jupyterlab", "notebook", "notebook_shim", "jupyter_lsp"} - {*settings["pages"]}, False
    )
    own.write_text(json.dumps({"ServerApp": {"jpserver_extensions": without}}))
    from jupyter_server.serverapp import ServerApp

    sys.argv = [
        "jupyter-server",
        "--allow-root",
        "--ServerApp.ip=127.0.0.1",
        f"--ServerApp.port={sys.argv[2]}",
        "--ServerApp.port_retries=0",
        f"--IdentityProvider.token={settings['token']}",
        f"--ServerApp.root_dir={settings['directory']}",
        "--ServerApp.open_browser=False",
    ]
    ServerApp.launch_instance()


main()
