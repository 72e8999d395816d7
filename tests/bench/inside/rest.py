"""Inside the machine: the agent at rest, then through many edits. Prints one JSON object.

rest.py WINDOW-S EDITS
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from live import CONFIG, agent_pid, cpu_s, edit, quiet, restore, status, with_max_body

WARM_UP = 400
"""Python keeps a table of the names in use, parts of paths among them. It grows once, by 1 MB, when some twenty thousand
short-lived ones have gone through it, which so many edits do."""
SAMPLES = 10


def main() -> None:
    window_s, edits = float(sys.argv[1]), int(sys.argv[2])
    pid = agent_pid()
    quiet(3.0)
    at_rest = rest(pid, window_s)
    shipped = CONFIG.read_text()
    samples, times = [], []
    for number in range(WARM_UP + edits):
        if number >= WARM_UP and (number - WARM_UP) % max(1, edits // SAMPLES) == 0:
            quiet()  # not what the edit before still holds
            samples.append({"edits": number - WARM_UP, **held(pid)})
        times.append(edit(with_max_body(shipped, 200 + number))["verified"])
    quiet()
    samples.append({"edits": edits, **held(pid)})
    restore(shipped)
    assert agent_pid() == pid, "the agent was restarted"
    print(json.dumps({"rest": at_rest, "warm_up": WARM_UP, "samples": samples, "verified_s": times}))


def rest(pid: int, window_s: float) -> dict[str, float]:
    """CPU and wake-ups while nobody asks anything of the agent."""
    looks, cpu, switches, begun = looked(), cpu_s(pid), voluntary_switches(pid), time.monotonic()
    time.sleep(window_s)
    took_s = time.monotonic() - begun
    return {
        "window_s": took_s,
        "cpu_percent": 100 * (cpu_s(pid) - cpu) / took_s,
        "wakeups_per_s": (voluntary_switches(pid) - switches) / took_s,
        "looks": looked() - looks,
        **held(pid),
    }


def held(pid: int) -> dict[str, float]:
    """Memory in bytes, descriptors and threads."""
    fields = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]:
        name, _, value = line.partition(":")
        fields[name] = int(value.split()[0]) * 1024
    return {
        "rss": fields["Rss"],
        "pss": fields["Pss"],
        "private": fields["Private_Clean"] + fields["Private_Dirty"],
        "descriptors": len(list(Path(f"/proc/{pid}/fd").iterdir())),
        "threads": len(list(Path(f"/proc/{pid}/task").iterdir())),
    }


def voluntary_switches(pid: int) -> int:
    total = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        lines = Path(thread, "status").read_text().splitlines()
        total += next(int(line.split()[1]) for line in lines if line.startswith("voluntary_ctxt_switches"))
    return total


def looked() -> int:
    return int(str(status()["looks"]))


if __name__ == "__main__":
    main()
