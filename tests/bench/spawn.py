"""From the click on "Start" to a ready server, and to its first page: a warm slot, a cold start, and DockerSpawner as it
comes."""

from __future__ import annotations

import json
from typing import Any

from tests.bench.figures import Figure, Report, median, percentile
from tests.machine.hub import Hub

ROUNDS = 20
BURST_USERS = 40
BURST_S = 10.0
PENDING_PAGE_S = 1.0
_CONFIG = """\
hub: {{signup: open, ask_email: true, stop_idle_after: 0}}
servers:
  warm: {{image: hubagent/julia, memory: 2G, cpus: 2, warm: {{ready: {ready}, max: {ready}, pluto: false}}}}
  cold: {{image: hubagent/julia, memory: 2G, cpus: 2}}
"""
_STOCK, _STOCK_API, _STOCK_HUB = 18200, 18201, 18281
_PROXY = "/usr/lib/hubagent-proxy"
_STOCK_CONFIG = f"""
c.JupyterHub.bind_url = "http://127.0.0.1:{_STOCK}"
c.JupyterHub.hub_ip = "172.17.0.1"
c.JupyterHub.hub_port = {_STOCK_HUB}
c.JupyterHub.authenticator_class = "dummy"
c.Authenticator.allow_all = True
c.JupyterHub.spawner_class = "docker"
c.DockerSpawner.image = "hubagent/julia"
c.DockerSpawner.cmd = ["jupyterhub-singleuser"]
c.DockerSpawner.remove = True
c.DockerSpawner.mem_limit = "2G"
c.DockerSpawner.volumes = {{"stock-user-{{username}}": "/home/jovyan/work"}}
c.Spawner.default_url = "/lab"
c.ConfigurableHTTPProxy.api_url = "http://127.0.0.1:{_STOCK_API}"
c.ConfigurableHTTPProxy.command = [
    "{_PROXY}/node", "{_PROXY}/node_modules/configurable-http-proxy/bin/configurable-http-proxy"
]
"""
_NAME = "DockerSpawner with its defaults, same image, same machine, in turns"
_COLD = "the same without slots"
_KINDS = ("warm", "cold", "stock")


def measure(hub: Hub) -> Report:
    machine = hub.machine
    shipped = hub.config()
    machine.write("/srv/bench/spawn-stock/config.py", _STOCK_CONFIG)
    program = "/usr/lib/hubagent-jupyterhub/bin/jupyterhub"
    folder = "WorkingDirectory=/srv/bench/spawn-stock"
    machine.run(
        ["systemd-run", "--unit=bench-spawn-stock", "-p", folder, program, "-f", "config.py"],
    )
    try:
        _configure(hub, ready=2)
        stock = f"http://127.0.0.1:{_STOCK}"
        health = f"{stock}/hub/api/health"
        machine.run(["curl", "-sf", "--retry", "60", "--retry-delay", "1", "--retry-all-errors", health])
        found = _inside(hub, "starts", str(ROUNDS), stock)
        bursts = {}
        for name, server, ready in (("full", "warm", BURST_USERS), ("of 4", "warm", 4), ("cold", "cold", 0)):
            _configure(hub, ready=ready)
            bursts[name] = _inside(hub, "burst", server, str(BURST_USERS), str(BURST_S))
    finally:
        machine.run(["systemctl", "stop", "bench-spawn-stock"], check=False)
        hub.edit(shipped)
        hub.apply()
    ready = {
        name: {"p50": median(samples), "p95": percentile(samples, 95), "n": len(samples)}
        for name, samples in (
            ("claim", found["claim"]["claim"]),
            *((one, found[one]["ready"]) for one in _KINDS),
        )
    }
    report = Report("spawn", _figures(found, bursts), {"rounds": ROUNDS}, {"starts": found, "burst": bursts})
    path = report.write()
    path.write_text(json.dumps({**ready, **json.loads(path.read_text())}, indent=2) + "\n")
    return report


def _figures(found: dict[str, Any], bursts: dict[str, dict[str, list[float]]]) -> tuple[Figure, ...]:
    warm, cold, stock = (found[kind] for kind in _KINDS)
    crowd = f"{BURST_USERS} clicks in {BURST_S:.0f} s"
    full, few, none = (bursts[name]["ready"] for name in ("full", "of 4", "cold"))
    quick = sum(took_s < PENDING_PAGE_S for took_s in full)
    return (
        Figure(
            "click to ready, warm, median", "s", median(warm["ready"]), median(stock["ready"]), _NAME, 0.20
        ),
        Figure(
            "click to ready, warm, p95",
            "s",
            percentile(warm["ready"], 95),
            percentile(stock["ready"], 95),
            _NAME,
            0.4,
        ),
        Figure(
            "the same against a tenth", "s", median(warm["ready"]), None, _NAME, median(stock["ready"]) / 10
        ),
        Figure(
            "click to the first page, warm, median", "s", median(warm["page"]), median(stock["page"]), _NAME
        ),
        Figure(
            "click to ready, without a slot, median",
            "s",
            median(cold["ready"]),
            median(stock["ready"]),
            _NAME,
        ),
        Figure("claim, with limits and home, median", "s", median(found["claim"]["claim"]), None, "", 0.05),
        Figure(
            f"{crowd}, pool of {BURST_USERS}, p95",
            "s",
            percentile(full, 95),
            percentile(none, 95),
            _COLD,
            1.5,
            f"{quick} of {BURST_USERS} within a second, after which JupyterHub shows its page of progress",
        ),
        Figure(
            f"{crowd}, pool of 4, p95",
            "s",
            percentile(few, 95),
            percentile(none, 95),
            _COLD,
            percentile(none, 95) * 1.1,
        ),
    )


def _configure(hub: Hub, *, ready: int) -> None:
    hub.edit(_CONFIG.format(ready=ready))
    code, status = hub.apply()
    assert code == 0, status["problems"]


def _inside(hub: Hub, *arguments: str) -> Any:
    done = hub.machine.run(["python3", "/srv/bench/spawn.py", *arguments], timeout_s=3600.0)
    return json.loads(done.stdout)
