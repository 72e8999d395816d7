"""From the click on "Start" to a ready server, and to its first page: a warm slot, a cold start, and DockerSpawner as it
comes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.bench.figures import Figure, Report, median, percentile
from tests.machine.hub import Hub

ROUNDS = 20
REFILL_ROUNDS = 20
IDLE_S = 60.0
BURST_USERS = 40
BURST_S = 10.0
FEW = 4
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
_STOCK_UNIT = "bench-spawn-stock"
_KINDS = ("warm", "cold", "stock")


def measure(hub: Hub) -> Report:
    shipped = hub.config()
    seen: dict[str, Any] = {}
    try:
        _configure(hub, ready=2)
        with _stock_hub(hub) as stock:
            seen["starts"] = _inside(hub, "starts", str(ROUNDS), stock)
        seen["refilling"] = _inside(hub, "refilling", str(REFILL_ROUNDS))
        seen["idle"] = _inside(hub, "idle", str(IDLE_S))
        for name, server, ready in (("full", "warm", BURST_USERS), ("few", "warm", FEW), ("none", "cold", 0)):
            _configure(hub, ready=ready)
            seen[name] = _inside(hub, "burst", server, str(BURST_USERS), str(BURST_S))
    finally:
        hub.edit(shipped)
        hub.apply()
    starts = seen["starts"]
    figures = (*_starts(starts), *_refilling(seen["refilling"]), *_idle(seen["idle"]), *_bursts(seen))
    report = Report("spawn", figures, {"rounds": ROUNDS, "refill_rounds": REFILL_ROUNDS}, seen)
    path = report.write()
    ready = {"claim": _summary(starts["claim"]["claim"])} | {
        kind: _summary(starts[kind]["ready"]) for kind in _KINDS
    }
    path.write_text(json.dumps({**ready, **json.loads(path.read_text())}, indent=2) + "\n")
    return report


def _summary(samples: list[float]) -> dict[str, float]:
    return {"p50": median(samples), "p95": percentile(samples, 95), "n": len(samples)}


def _starts(found: dict[str, dict[str, list[float]]]) -> tuple[Figure, ...]:
    warm, cold, stock = (found[kind] for kind in _KINDS)
    ready_s, stock_s = median(warm["ready"]), median(stock["ready"])
    late_s, stock_late_s = (percentile(kind["ready"], 95) for kind in (warm, stock))
    return (
        Figure("click to ready, warm, median", "s", ready_s, stock_s, _NAME, 0.20),
        Figure("click to ready, warm, p95", "s", late_s, stock_late_s, _NAME, 0.4),
        Figure("the median against a tenth of DockerSpawner's", "s", ready_s, bar=stock_s / 10),
        Figure("click to first page, warm, median", "s", median(warm["page"]), median(stock["page"]), _NAME),
        Figure("click to ready, without a slot, median", "s", median(cold["ready"]), stock_s, _NAME),
        Figure("claim, with limits and home, median", "s", median(found["claim"]["claim"]), bar=0.05),
    )


def _refilling(found: dict[str, list[float]]) -> tuple[Figure, ...]:
    calm = median(found["calm"])
    other = "while no slot is made, in turns"
    return (
        Figure(
            "click while Docker makes a slot, median", "s", median(found["creating"]), calm, other, calm * 1.1
        ),
        Figure("click while a slot warms up, median", "s", median(found["warming"]), calm, other, calm * 1.1),
    )


def _idle(found: list[dict[str, float]]) -> tuple[Figure, ...]:
    memory_mb = max(slot["bytes"] for slot in found) / 1e6
    cpu_percent = max(slot["cpu"] for slot in found) * 100
    note = f"the larger of {len(found)} slots with one waiting Python kernel each"
    return (
        Figure("waiting slot, proportional share of memory", "MB", memory_mb, note=note),
        Figure(f"waiting slot, processor over {IDLE_S:.0f} s", "%", cpu_percent, bar=0.1, note=note),
    )


def _bursts(seen: dict[str, Any]) -> tuple[Figure, ...]:
    full, few, none = (seen[name]["ready"] for name in ("full", "few", "none"))
    crowd = f"{BURST_USERS} clicks in {BURST_S:.0f} s"
    other, cold_s = "the same without slots", percentile(none, 95)
    quick = sum(took_s < PENDING_PAGE_S for took_s in full)
    note = f"{quick} of {BURST_USERS} within the second after which JupyterHub shows its page of progress"
    return (
        Figure(f"{crowd}, pool of {BURST_USERS}, p95", "s", percentile(full, 95), cold_s, other, 1.5, note),
        Figure(f"{crowd}, pool of {FEW}, p95", "s", percentile(few, 95), cold_s, other, cold_s * 1.1),
    )


@contextmanager
def _stock_hub(hub: Hub) -> Iterator[str]:
    """A JupyterHub with DockerSpawner as it comes, on the same machine; its address there."""
    machine = hub.machine
    machine.write("/srv/bench/spawn-stock/config.py", _STOCK_CONFIG)
    program = "/usr/lib/hubagent-jupyterhub/bin/jupyterhub"
    folder = "WorkingDirectory=/srv/bench/spawn-stock"
    machine.run(["systemd-run", f"--unit={_STOCK_UNIT}", "-p", folder, program, "-f", "config.py"])
    address = f"http://127.0.0.1:{_STOCK}"
    try:
        patient = ["--retry", "60", "--retry-delay", "1", "--retry-all-errors"]
        machine.run(["curl", "-sf", *patient, f"{address}/hub/api/health"])
        yield address
    finally:
        machine.run(["systemctl", "stop", _STOCK_UNIT], check=False)


def _configure(hub: Hub, *, ready: int) -> None:
    hub.edit(_CONFIG.format(ready=ready))
    code, status = hub.apply()
    assert code == 0, status["problems"]


def _inside(hub: Hub, *arguments: str) -> Any:
    done = hub.machine.run(["python3", "/srv/bench/spawn.py", *arguments], timeout_s=3600.0)
    return json.loads(done.stdout)
