"""Everything at random on one booted machine, for as long as is asked for.

    make soak [SOAK_S=1200] [SOAK_SEED=NUMBER] [SOAK_SUITE=trixie]

Writes build/soak/SUITE/report.md, plot.svg, samples.json and journal.txt; ends with 1 when a bar is missed (bars.py).
"""

from __future__ import annotations

import json
import os
import random
import sys
import time
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Final

from tests.bench.figures import ROOT
from tests.machine.client import Kernel, Person
from tests.machine.course import set_up
from tests.machine.hub import Hub, install
from tests.machine.rig import NOTEBOOK, Machine, RigError, Suite, WaitTimeout
from tests.soak.actions import Actions
from tests.soak.background import Background
from tests.soak.bars import PARTS, Leftovers, Seen, judge
from tests.soak.events import ENDS_WHAT_IS_SAMPLED, PEOPLE, Calm, rounds
from tests.soak.plot import picture
from tests.soak.report import page
from tests.soak.samples import Sampler
from tests.soak.site import COURSE, SLOTS, Site, Values, admin, until_nothing

FOLDER: Final = ROOT / "build/soak"
REPOSITORY: Final = ROOT / "dist/repo"
BACKGROUND: Final = "background"
KEPT: Final = ("nginx", "configurable-http-proxy")
TIDY_S: Final = 240.0


def main(environment: Mapping[str, str]) -> int:
    """The exit status: 1 when a bar was missed or there was no soak."""
    seconds = float(environment.get("SOAK_S") or 1200)
    seed = int(environment.get("SOAK_SEED") or random.SystemRandom().randrange(10**6))
    suite = Suite(environment.get("SOAK_SUITE") or Suite.TRIXIE)
    print(f"{seconds:.0f} s on Debian {suite.value}; the same order again: SOAK_SEED={seed}", flush=True)
    try:
        with Machine.boot(suite, image=NOTEBOOK) as machine:
            return soak(install(machine, REPOSITORY), seconds, seed)
    except RigError as error:
        print(error, file=sys.stderr)
        return 1


def soak(hub: Hub, seconds: float, seed: int) -> int:
    """On a hub that has just been installed."""
    with ExitStack() as closing:
        warden = admin(hub)
        closing.callback(warden.close)
        site = closing.enter_context(
            set_up(Site, hub, Values().text(), own=f"label=hubagent.server={COURSE}")
        )
        seen = _soak(site, warden, seconds, seed)
        folder = FOLDER / seen.suite
        folder.mkdir(parents=True, exist_ok=True)
        Path(folder, "journal.txt").write_text(hub.machine.journal(lines=100_000))
        Path(folder, "samples.json").write_text(json.dumps([asdict(sample) for sample in seen.samples]))
        Path(folder, "plot.svg").write_text(picture(seen))
        Path(folder, "report.md").write_text(page(seen))
    missed = [bar for bar in judge(seen) if not bar.met]
    for bar in missed:
        print(f"missed: {bar.what}: {bar.found}; at most: {bar.limit}", flush=True)
    print(f"{folder.relative_to(ROOT)}/report.md: {'a bar is missed' if missed else 'all bars are met'}")
    return 1 if missed else 0


def _soak(site: Site, warden: Person, seconds: float, seed: int) -> Seen:
    people = [site.person(name) for name in PEOPLE]
    somebody = site.person(BACKGROUND)
    somebody.session.headers["Connection"] = "close"  # each request on a connection of its own
    somebody.start()
    site.calm()
    before = {unit: site.hub.main_pid(unit) for unit in KEPT}
    begun_s = time.monotonic()
    actions = Actions(site, warden, [*people, somebody], begun_s)
    calms: list[Calm] = []
    trouble = websocket = ""
    with somebody.kernel() as kernel, Sampler(site.hub.machine, begun_s) as sampler:
        kernel.tick()
        with Background(lambda: _ask(somebody), kernel, begun_s) as background:
            try:
                _rounds(site, actions, calms, begun_s, seconds, seed)
            except (RigError, AssertionError, OSError) as error:
                trouble = repr(error)
        websocket = _judged(kernel, background)
        restarted = [unit for unit in KEPT if site.hub.main_pid(unit) != before[unit]]
    actions.stop_all()
    return Seen(
        seed=seed,
        seconds=seconds,
        suite=site.hub.machine.suite.value,
        asked=background.asked,
        longest_answer_s=background.longest_s,
        failures=background.failures,
        websocket=websocket,
        done=actions.done,
        calms=calms,
        restarted=restarted,
        samples=sampler.samples,
        leftovers=_leftovers(site),
        trouble=trouble,
    )


def _rounds(
    site: Site, actions: Actions, calms: list[Calm], begun_s: float, seconds: float, seed: int
) -> None:
    """Whole events until the time is over; after each round it must come to rest."""

    def elapsed() -> float:
        return time.monotonic() - begun_s

    for events in rounds(seed):
        for event in events:
            if elapsed() > seconds:
                break
            if event.kind in ENDS_WHAT_IS_SAMPLED and elapsed() > seconds / PARTS:
                continue
            actions.do(event)
            time.sleep(event.pause_s)  # people are not in a hurry; nothing is waited for here
        actions.finish()
        at_s, problem = elapsed(), ""
        try:
            site.calm()
        except WaitTimeout as error:
            problem = str(error)
        calms.append(Calm(at_s, elapsed() - at_s, problem))
        print(f"{at_s:7.1f} s  at rest: {problem or f'{calms[-1].took_s:.1f} s'}", flush=True)
        if elapsed() > seconds:
            return


def _ask(person: Person) -> tuple[int, str]:
    answer = person.jupyter("GET", "/api/status")
    return answer.status_code, answer.text[:200]


def _judged(kernel: Kernel, background: Background) -> str:
    """What was wrong with the websocket; empty when nothing was."""
    if background.websocket_closed_s is not None:
        return f"it closed after {background.websocket_closed_s:.1f} s"
    try:
        kernel.still_ticks("all of this")
    except (AssertionError, WaitTimeout) as error:
        return str(error)
    return ""


def _leftovers(site: Site) -> Leftovers:
    """As they are as soon as there is nothing but waiting slots, or after long enough."""

    def untidy() -> str:
        ready = site.ready_slots()
        traces = site.traces()
        words = f"{len(ready)} slots wait; {traces}"
        return "" if site.is_tidy() and len(ready) == len(traces["all containers"]) == SLOTS else words

    try:
        until_nothing(untidy, TIDY_S, "nothing but waiting slots")
    except WaitTimeout as error:
        print(error, flush=True)  # the bars say so too
    traces = site.traces()
    return Leftovers(
        slots=frozenset(site.ready_slots()),
        containers=frozenset(traces["all containers"]),
        guests=len(traces["guests"]),
        places=len(traces["slots"]),
        attached=tuple(traces["attached"]),
        routes=tuple(site.routes()),
    )


if __name__ == "__main__":
    sys.exit(main(os.environ))
