"""Seconds of processor that the hub spends on a click, by request: ours beside JupyterHub's own program.

    build/hub-venv/bin/python tests/hub/bench_click.py [--beside CHECKOUT] [--rounds N] [TARGET.json]

A click is what somebody who is signed in does to have a server and see its first page: /hub/spawn, the requests of
OAuth between browser, server and hub, and those that a server makes when it starts. The hubs run beside each other and
take turns at each click, so that all have the same neighbours. CHECKOUT is another checkout of this project, whose hub
takes turns, too. Ends with 1 when ours takes more than LIMIT_S.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

from clicks import Clicks
from crowd import crowd
from running import CONFIG, ROOT

USERS = 20
"""Who click, one after the other, once in each round. What a hub does for the first time is not counted."""

LIMIT_S = 0.04
"""At that, 1,000 clicks within a minute use two thirds of the hub's one thread."""


def figures(clicks: list[dict[str, float]]) -> dict[str, float]:
    """Milliseconds of processor, medians."""
    return {name: round(1000 * statistics.median(click[name] for click in clicks), 2) for name in clicks[0]}


def measure(folder: Path, hubs: dict[str, tuple[str, Path]], rounds: int) -> dict[str, dict[str, float]]:
    """`hubs` are a module and the checkout that it is of, by name."""
    with ExitStack() as stack:
        all_clicks: dict[str, Clicks] = {}
        for name, (program, checkout) in hubs.items():
            config = checkout / CONFIG.relative_to(ROOT)
            one = crowd(folder / name, program=program, config=config, kind=Clicks, checkout=checkout)
            all_clicks[name] = stack.enter_context(one)
        with ThreadPoolExecutor() as pool:
            tuple(pool.map(lambda clicks: clicks.sign_in(USERS), all_clicks.values()))
        for round_number in range(rounds + 1):
            for number in range(USERS):
                for turn in range(len(hubs)):  # each is first and last as often as the others
                    tuple(all_clicks.values())[(number + turn) % len(hubs)].click(number)
            if round_number == 0:
                for clicks in all_clicks.values():
                    clicks.clicks.clear()
        return {name: figures(clicks.clicks) for name, clicks in all_clicks.items()}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--beside", type=Path, action="append", default=[], metavar="CHECKOUT")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("target", type=Path, nargs="?", default=ROOT / "build" / "bench" / "click.json")
    asked = parser.parse_args()
    hubs = {"hubagent": ("hubagent.hub.application", ROOT), "jupyterhub": ("jupyterhub", ROOT)}
    for checkout in asked.beside:
        hubs[checkout.resolve().name] = ("hubagent.hub.application", checkout.resolve())
    with tempfile.TemporaryDirectory() as folder:
        measured = measure(Path(folder), hubs, asked.rounds)
    result = {"users": USERS, "rounds": asked.rounds, **measured}
    asked.target.parent.mkdir(parents=True, exist_ok=True)
    asked.target.write_text(json.dumps(result, indent=2) + "\n")
    print(json.dumps(result, indent=2))
    ours_s = measured["hubagent"]["all"] / 1000
    if ours_s > LIMIT_S:
        sys.exit(f"a click takes {ours_s:.3f} s of the hub's processor, more than {LIMIT_S} s")


if __name__ == "__main__":
    main()
