"""Boot one Debian 12, install hubagent from the packages just built, and run the benchmarks that need it.

build/venv/bin/python -m tests.bench.in_machine [--window 300] [--edits 1000] [NAME...]
"""

from __future__ import annotations

import argparse
import functools
import sys
import traceback
from collections.abc import Callable
from pathlib import Path

from tests.bench import browser, edit, failed_reload, hub_restart, peer, rest, spawn
from tests.bench.figures import ROOT, Report
from tests.machine.hub import Hub, install
from tests.machine.rig import NOTEBOOK, Machine, Suite

INSIDE = Path(__file__).with_name("inside")
_NAMES = ("edit", "rest", "hub_restart", "failed_reload", "spawn", "browser")


def main() -> int:
    """1 when a benchmark could not be run; bars that are missed are the table's to tell."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--window", type=float, default=60.0, help="seconds at rest")
    parser.add_argument("--edits", type=int, default=200, help="edits over which nothing may grow")
    parser.add_argument("--attach", help="use this machine, with hubagent in it, and leave it running")
    parser.add_argument("names", nargs="*", choices=[[], *_NAMES], help="which; all of them without")
    chosen = parser.parse_args()
    with _machine(chosen.attach) as machine:
        hub = Hub(machine) if chosen.attach else install(machine, ROOT / "dist/repo")
        machine.push(INSIDE, "/srv/bench")
        return run(hub, chosen.names or list(_NAMES), chosen.window, chosen.edits)


def run(hub: Hub, names: list[str], window_s: float, edits: int) -> int:
    """One after the other; one that fails does not hide the others."""
    salt, why_not = None, ""
    if {"edit", "failed_reload"} & set(names):
        try:
            salt = peer.install(hub.machine)
        except peer.NotMeasured as reason:
            why_not = str(reason)
    benches: dict[str, Callable[[], Report]] = {
        "edit": functools.partial(edit.measure, hub, salt, why_not),
        "rest": functools.partial(rest.measure, hub, window_s, edits),
        "hub_restart": functools.partial(hub_restart.measure, hub),
        "failed_reload": functools.partial(failed_reload.measure, hub, salt, why_not),
        "spawn": functools.partial(spawn.measure, hub),
        "browser": functools.partial(browser.measure, hub),
    }
    failed = 0
    for name in names:
        print(f"{name} …", flush=True)
        try:
            benches[name]().write()
        except Exception:  # whatever it was, the others are worth having
            traceback.print_exc()
            print(hub.machine.journal("hubagent", lines=30), file=sys.stderr)
            failed = 1
    return failed


def _machine(name: str | None) -> Machine:
    return Machine.attach(name) if name else Machine.boot(Suite.BOOKWORM, image=NOTEBOOK)


if __name__ == "__main__":
    sys.exit(main())
