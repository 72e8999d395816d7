"""nginx's reload fails once in an edit: who notices that nginx goes on with the old configuration?"""

from __future__ import annotations

import json

from tests.bench.figures import Figure, Report
from tests.machine.hub import Hub

POLL_BAR_S = 20.0
"""The next look comes at the latest with the next poll."""


def measure(hub: Hub, salt: str | None, why_not: str) -> Report:
    """`salt` is the path of salt-call in the machine; None with the reason."""
    command = ["python3", "/srv/bench/failed_reload.py", *([salt] if salt else [])]
    found = json.loads(hub.machine.run(command, timeout_s=400.0).stdout)
    ours = found["hubagent"]
    if not ours["reload_failed"]:
        raise AssertionError(f"the reload did not fail: {ours}")
    rerun = {name: one["repaired_by_rerun"] for name, one in found.items() if name != "hubagent"}
    said = "; ".join(
        f"{name}: exit {one['codes'][0]}, rerun exit {one['codes'][1]}, "
        + ("repaired by the rerun" if rerun[name] else "nginx still serves the old value")
        for name, one in found.items()
        if name != "hubagent"
    )
    figures = (
        Figure(
            "reload failed once: nginx serves the file again, untold, after",
            "s",
            ours["repaired_s"],
            None,
            "none repairs itself" + ("" if salt else f"; Salt not measured: {why_not}"),
            POLL_BAR_S,
            f"hubagent said {' then '.join(ours['results'])}; {said}",
        ),
    )
    return Report("failed_reload", figures, {"salt": salt is not None}, found)
