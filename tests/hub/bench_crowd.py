"""How long the hub does nothing else with 1,000 users and 300 servers at work, beside JupyterHub as it is.

    bench_crowd.py [TARGET.json]

The hub itself says how long its event loop was held up. Ends with 1 when ours is held up for more than LIMIT_S.
"""

from __future__ import annotations

import json
import re
import statistics
import sys
import tempfile
import time
from pathlib import Path

from crowd import Crowd, crowd
from running import ROOT, call

USERS, SERVERS = 1000, 300
ROUNDS = 6
CONFIG = Path(__file__).with_name("crowd_config.py")
INTERVAL_S = 5
"""Between two updates of who is at work, as CONFIG says: more often than in truth, for more of them."""

LIMIT_S = 0.3
STALL = re.compile(r"Event loop was unresponsive for at least ([0-9.]+)s")


def stalls(hub: Crowd, begun: int) -> list[float]:
    """Seconds, of all that the log tells of from there on."""
    return [float(found) for found in STALL.findall(hub.hub.log[begun:])]


def measure(folder: Path, program: str) -> dict[str, float]:
    with crowd(folder, program=program, config=CONFIG, kind=Crowd) as hub:
        begun = len(hub.hub.log)
        start = time.perf_counter()
        hub.populate(USERS, SERVERS)
        filling_s = time.perf_counter() - start
        filling = stalls(hub, begun)
        begun, cpu_s = len(hub.hub.log), hub.hub_cpu_s
        start = time.perf_counter()
        for _ in range(ROUNDS):
            next_s = time.perf_counter() + INTERVAL_S
            hub.work()
            time.sleep(max(0.0, next_s - time.perf_counter()))
        assert call(f"{hub.hub.hub_url}/hub/api/", timeout_s=60)[0] == 200
        at_work = stalls(hub, begun)
        return {
            "filling_s": filling_s,
            "filling_stall_max_s": max(filling, default=0.0),
            "stall_max_s": max(at_work, default=0.0),
            "stall_of_a_round_s": sum(at_work) / ROUNDS,
            "stalls": len(at_work),
            "stall_median_s": statistics.median(at_work or [0.0]),
            "cpu_of_a_round_s": (hub.hub_cpu_s - cpu_s) / ROUNDS,
        }


def main(target: Path) -> None:
    with tempfile.TemporaryDirectory() as folder:
        ours = measure(Path(folder) / "hubagent", "hubagent.hub.application")
        theirs = measure(Path(folder) / "stock", "jupyterhub")
    result = {"users": USERS, "servers": SERVERS, "hubagent": ours, "jupyterhub": theirs}
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    if ours["stall_max_s"] > LIMIT_S:
        sys.exit(f"the hub was held up for {ours['stall_max_s']:.2f} s, more than {LIMIT_S} s")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "build" / "bench" / "crowd.json")
