"""Inside the machine: what some services hold, as one JSON object a line, until standard input is closed.

sample.py EVERY-S UNIT...      (beside the benchmarks' rest.py)
"""

from __future__ import annotations

import json
import select
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from rest import held

GUESTS = Path("/run/hubagent/guests")
SLOTS = "/run/hubagent-homes/slots/"


def main() -> None:
    every_s, units = float(sys.argv[1]), sys.argv[2:]
    while True:
        begun = time.monotonic()
        found = {unit: value for unit in units if (value := _held(unit)) is not None}
        sample = {"monotonic_s": begun, "held": found, "ready": _ready(), "attached": _attached()}
        print(json.dumps(sample), flush=True)
        left_s = every_s - (time.monotonic() - begun)
        if select.select([sys.stdin], [], [], max(0.0, left_s))[0]:
            return


def _held(unit: str) -> dict[str, object] | None:
    """None while it does not run."""
    show = ["systemctl", "show", "-p", "MainPID", "--value", unit]
    text = subprocess.run(show, stdout=subprocess.PIPE, text=True, check=False).stdout.strip()
    if text in ("", "0"):
        return None
    try:
        all_of_it, names, connections = held(int(text)), _names(int(text)), _connections(int(text))
    except (OSError, KeyError, IndexError):  # it has just ended
        return None
    return {
        "pid": int(text),
        "connections": connections,
        "descriptors": int(all_of_it["descriptors"]),
        "threads": int(all_of_it["threads"]),
        "private_bytes": int(all_of_it["private"]),
        "names": names,
    }


def _connections(pid: int) -> int:
    """Descriptors of unix sockets that have no path: to other programs, whether those are still there or not; who accepts
    has the listener's path (unix(7))."""
    fields = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()[1:]]
    nameless = {f"socket:[{field[6]}]" for field in fields if len(field) == 7}
    found = 0
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            found += str(descriptor.readlink()) in nameless
        except OSError:  # it has just been closed
            continue
    return found


def _names(pid: int) -> dict[str, int]:
    """Threads by the names that the kernel knows (proc(5), comm)."""
    names: Counter[str] = Counter()
    for thread in Path(f"/proc/{pid}/task").iterdir():
        try:
            names[Path(thread, "comm").read_text().strip()] += 1
        except OSError:  # it has just ended
            continue
    return names


def _ready() -> int:
    found = 0
    for path in GUESTS.glob("*/slot.json"):
        try:
            found += json.loads(path.read_text())["phase"] == "ready"
        except (OSError, ValueError, KeyError):  # it is just written, or goes
            continue
    return found


def _attached() -> int:
    return sum(line.split()[4].startswith(SLOTS) for line in Path("/proc/1/mountinfo").open())


if __name__ == "__main__":
    main()
