"""Requests to a user's route while the hub restarts: hubagent's units, and JupyterHub as it comes."""

from __future__ import annotations

import json
import textwrap

from tests.bench.figures import Figure, Report, median
from tests.machine.hub import Hub

RESTARTS = 5
_BACKEND = 18500
_STOCK, _STOCK_API, _STOCK_HUB = 18100, 18101, 18181
_PROXY = "/usr/lib/hubagent-proxy"
_STOCK_CONFIG = f"""
c.JupyterHub.bind_url = "http://127.0.0.1:{_STOCK}"
c.JupyterHub.hub_port = {_STOCK_HUB}
c.JupyterHub.authenticator_class = "dummy"
c.JupyterHub.spawner_class = "simple"
c.JupyterHub.services = [{{"name": "bench", "url": "http://127.0.0.1:{_BACKEND}"}}]
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{_STOCK_API}"
c.ConfigurableHTTPProxy.command = [
    "{_PROXY}/node", "{_PROXY}/node_modules/configurable-http-proxy/bin/configurable-http-proxy"
]
"""
_ADD_ROUTE = textwrap.dedent(
    f"""
    import urllib.request
    token = open("/var/lib/hubagent/current/proxy/token").read()
    urllib.request.urlopen(urllib.request.Request(
        "http://127.0.0.1:8001/api/routes/user/bench",
        data=b'{{"target": "http://127.0.0.1:{_BACKEND}"}}',
        headers={{"Authorization": "token " + token}},
        method="POST",
    ))
    """
)


def measure(hub: Hub) -> Report:
    machine = hub.machine

    def unit(name: str, *command: str) -> None:
        machine.run(["systemd-run", f"--unit={name}", "-p", "WorkingDirectory=/srv/bench/stock", *command])

    def restarts(name: str, route: str, health: str) -> dict[str, object]:
        command = ["python3", "/srv/bench/restarts.py", name, route, health, str(RESTARTS)]
        found = json.loads(machine.run(command, timeout_s=(4 + RESTARTS) * 130.0).stdout)
        assert isinstance(found, dict)
        return found

    machine.write("/srv/bench/stock/config.py", _STOCK_CONFIG)
    unit("bench-backend", "python3", "/srv/bench/restarts.py", "--serve", str(_BACKEND))
    try:
        machine.run(["python3", "-c", _ADD_ROUTE])
        ours = restarts("jupyterhub", "https://127.0.0.1/user/bench/x", "https://127.0.0.1/hub/api/health")
        hub_program = "/usr/lib/hubagent-jupyterhub/bin/jupyterhub"
        unit("bench-stock-hub", hub_program, "-f", "/srv/bench/stock/config.py")
        own = f"http://127.0.0.1:{_STOCK}"
        stock = restarts("bench-stock-hub", f"{own}/services/bench/x", f"{own}/hub/api/health")
    finally:
        machine.run(["systemctl", "stop", "bench-backend", "bench-stock-hub"], check=False)
    name = "JupyterHub with its own proxy, its defaults"
    asked = f"of {ours['ok'] + ours['failed']} requests; there of {stock['ok'] + stock['failed']}"  # type: ignore[operator]
    figures = (
        Figure(
            f"requests to a user's route failed in {RESTARTS} hub restarts",
            "",
            ours["failed"],  # type: ignore[arg-type]
            stock["failed"],  # type: ignore[arg-type]
            name,
            0,
            asked,
        ),
        Figure(
            "hub restart to /hub/api/health, no load, median",
            "s",
            median(ours["health_s"]),  # type: ignore[arg-type]
            median(stock["health_s"]),  # type: ignore[arg-type]
            name,
        ),
    )
    return Report("hub_restart", figures, {"restarts": RESTARTS}, {"hubagent": ours, "stock": stock})
