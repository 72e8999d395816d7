"""The agent at rest, and whether anything grows in it over many edits."""

from __future__ import annotations

import json

from tests.bench.figures import Figure, Report, median
from tests.machine.hub import Hub

RSS_BAR_MB = 60.0
CPU_BAR_PERCENT = 0.2
EDITS_OF_THE_BARS = 1000
"""In fewer, what caches and the allocator take until they are full looks like growth."""
GROWTH_BAR_MB = 1.0
"""Later half of the edits against the earlier: allocators round up, a leak of a kilobyte an edit shows."""
_EDIT_S = 10.0
_WARM_UP_S = 600.0


def measure(hub: Hub, window_s: float, edits: int) -> Report:
    command = ["python3", "/srv/bench/rest.py", str(window_s), str(edits)]
    found = json.loads(hub.machine.run(command, timeout_s=window_s + _WARM_UP_S + edits * _EDIT_S).stdout)
    rest, samples = found["rest"], found["samples"]
    half = len(samples) // 2

    def growth(key: str) -> float:
        return median([one[key] for one in samples[half:]]) - median([one[key] for one in samples[:half]])

    none = "no peer in this run"
    after = f"after {edits} edits"
    judged = edits >= EDITS_OF_THE_BARS
    why = "" if judged else f"the bar is for {EDITS_OF_THE_BARS} edits: --edits {EDITS_OF_THE_BARS}"
    figures = (
        Figure("agent at rest: resident", "MB", rest["rss"] / 1e6, None, none, RSS_BAR_MB),
        Figure("agent at rest: proportional (PSS)", "MB", rest["pss"] / 1e6, None, none),
        Figure(
            f"agent at rest: CPU of one core over {rest['window_s']:.0f} s",
            "%",
            rest["cpu_percent"],
            None,
            none,
            CPU_BAR_PERCENT,
            f"{rest['looks']} looks",
        ),
        Figure("agent at rest: wake-ups", "/s", rest["wakeups_per_s"], None, none),
        Figure(f"resident, {after}", "MB", samples[-1]["rss"] / 1e6, None, none, RSS_BAR_MB),
        Figure(
            f"growth of private memory, {after}",
            "MB",
            growth("private") / 1e6,
            None,
            none,
            GROWTH_BAR_MB if judged else None,
            why,
        ),
        Figure(f"growth of descriptors, {after}", "", growth("descriptors"), None, none, 0),
        Figure(f"growth of threads, {after}", "", growth("threads"), None, none, 0),
    )
    return Report("rest", figures, {"edits": edits, "warm_up": found["warm_up"]}, found)
