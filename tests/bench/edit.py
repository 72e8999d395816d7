"""Save to verified live, for an edit that costs one reload of nginx; and what a look without an edit costs."""

from __future__ import annotations

import json

from tests.bench.figures import Figure, Report, median, percentile
from tests.machine.hub import Hub

ROUNDS = 20
LOOKS = 50
BAR_S = 0.15
DEBOUNCE_BAR_S = 0.3
LOOK_BAR_MS = 10.0
_ROUND_S = 20.0

# The quiet time after a file event, as the installed agent keeps it.
_DEBOUNCE = """
import time
from hubagent.converge.triggers import Trigger, Triggers
triggers, begun = Triggers(time.monotonic), time.monotonic()
triggers.put(Trigger.FILE)
while Trigger.FILE not in triggers.take(5.0):
    pass
print(time.monotonic() - begun)
"""


def measure(hub: Hub, salt: str | None, why_not: str) -> Report:
    """`salt` is the path of salt-call in the machine; None with the reason."""
    debounces = [float(hub.machine.run(["python3", "-c", _DEBOUNCE]).stdout) for _ in range(5)]
    debounce_s = median(debounces)
    command = ["python3", "/srv/bench/edits.py", str(ROUNDS), *([salt] if salt else [])]
    rows = json.loads(hub.machine.run(command, timeout_s=120 + ROUNDS * _ROUND_S).stdout)
    looks = json.loads(hub.machine.run(["python3", "/srv/bench/looks.py", str(LOOKS)], timeout_s=300).stdout)
    verified = [row["verified"] - debounce_s for row in rows["hubagent"]]
    first = [row["first_new"] - debounce_s for row in rows["hubagent"]]
    shell_first = [row["first_new"] for row in rows["shell"]]
    salted = [max(row["done"], row["first_new"]) for row in rows["salt"]]
    shell = "sed, nginx -t, systemctl reload: first new answer, unverified"
    peer = "salt-call state.apply: done, unverified" if salt else f"Salt not measured: {why_not}"
    over = "over the debounce"
    figures = (
        Figure(
            f"edit to verified live, {over}, median", "s", median(verified), median(shell_first), shell, BAR_S
        ),
        Figure(
            f"edit to verified live, {over}, p95",
            "s",
            percentile(verified, 95),
            percentile(shell_first, 95),
            shell,
        ),
        Figure(f"edit to first new answer, {over}, median", "s", median(first), median(shell_first), shell),
        Figure(
            "edit to verified live, debounce included, median",
            "s",
            median(verified) + debounce_s,
            median(salted) if salted else None,
            peer,
        ),
        Figure("debounce", "s", debounce_s, bar=DEBOUNCE_BAR_S),
        Figure(
            "look that finds nothing to do, CPU",
            "ms",
            looks["cpu_ms"],
            bar=LOOK_BAR_MS,
            note=f"user {looks['user_ms']:.1f}, system {looks['system_ms']:.1f}, {looks['looks']} looks",
        ),
    )
    conditions = {
        "rounds": ROUNDS,
        "debounce_s": debounce_s,
        "in_turns": "hubagent, shell, and Salt every fourth time",
        "salt": salt is not None or f"not measured: {why_not}",
    }
    return Report("edit", figures, conditions, {"edits": rows, "looks": looks})
