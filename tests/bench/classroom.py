"""Forty people click within ten seconds, behind one line of 100 Mbit/s: when the last can work, beside one alone.

One real browser is recorded; clients repeat what it did, each with a connection and an empty cache of its own, and two real
browsers are among them. With --ahead, the sign-in page has fetched what it may before.

build/venv/bin/python -m tests.bench.classroom [--people 40] [--ahead] [--repository dist/repo] [--name classroom]
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.bench.browser import (
    LAUNCHER,
    LISTEN,
    forget,
    pool_is_full,
    run_a_cell,
    sign_in_on_the_page,
    signed_in,
)
from tests.bench.figures import ROOT, Figure, Report, median, percentile
from tests.bench.recording import Recorder, Recording
from tests.bench.replay import Result, Task
from tests.browser.chromium import chromium
from tests.browser.people import START_MS, STEP_MS
from tests.machine.client import CERTIFICATE, Person
from tests.machine.hub import Hub, install, until
from tests.machine.rig import NOTEBOOK, Machine, Suite
from tests.machine.rig.client import client_network
from tests.machine.rig.network import Network

WITHIN_S: Final = 10.0
BROWSERS: Final = 2
ALONE_ROUNDS: Final = 3
TIMES_ALONE: Final = 3.0
_FILL_S: Final = 1200.0
_BROWSERS_START_S: Final = 10.0  # until the real browsers have started
_LINE: Final = ("root", "tbf", "rate", "100mbit", "burst", "64kb", "latency", "200ms")
"""A queue of 2.5 MB, as switches of rooms have."""

_CONFIG: Final = """\
hub: {{signup: open, ask_email: true, stop_idle_after: 0}}
servers:
  warm:
    image: hubagent/julia
    memory: 2G
    cpus: 2
    warm: {{ready: {ready}, max: {ready}, pluto: false, kernels: {{python3: 1}}}}
"""

# Seconds of processor time of processes that run and of children that they have waited for (proc(5)), by unit or
# container; and the containers of users' servers.
_PROCESSOR: Final = """
import collections, glob, json, os, re
seconds = collections.Counter()
for folder in glob.glob("/proc/[0-9]*"):
    try:
        stat, groups = open(folder + "/stat").read(), open(folder + "/cgroup").read()
    except OSError:
        continue
    found = re.search("/(?:docker-([0-9a-f]+)[.]scope|([a-z-]+)[.]service)", groups)
    name = found[1] or found[2] if found else "all else"
    seconds[name] += sum(map(int, stat.rpartition(")")[2].split()[11:15])) / os.sysconf("SC_CLK_TCK")
claimed = []
for path in glob.glob("/run/hubagent/guests/*/slot.json"):
    try:
        slot = json.load(open(path))
    except OSError:
        continue
    if slot["phase"] == "claimed":
        claimed.append(slot["container"])
print(json.dumps({"seconds": seconds, "claimed": claimed}))
"""
_CONTAINER: Final = re.compile("[0-9a-f]{64}")
_PROGRAMS: Final = ("nginx", "jupyterhub", "configurable-http-proxy", "hubagent", "docker")


@dataclass(frozen=True)
class Class:
    """What came of everybody's clicks."""

    results: Sequence[Result]
    browsers: Sequence[Result]
    processor_s: Mapping[str, float]  # of the machine, by program


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--people", type=int, default=40)
    parser.add_argument(
        "--ahead", action="store_true", help="sign in on the page, once it has fetched what it offers"
    )
    parser.add_argument(
        "--repository", type=Path, default=ROOT / "dist/repo", help="of the packages to install"
    )
    parser.add_argument("--name", default="classroom", help="of the file in build/bench")
    parser.add_argument("--attach", help="use this machine, with hubagent in it, and leave it running")
    asked = parser.parse_args()
    subprocess.run(["packaging/apt_install.sh", "python3-pycurl"], check=True)
    machine = Machine.attach(asked.attach) if asked.attach else Machine.boot(Suite.BOOKWORM, image=NOTEBOOK)
    with machine:
        hub = Hub(machine) if asked.attach else install(machine, asked.repository)
        report = measure(hub, asked.people, asked.ahead, asked.name)
    path = report.write()
    for one in report.figures:
        print(
            f"{one.name}: {one.ours:.2f} {one.unit}"
            + (f", {one.alternative_name} {one.alternative:.2f}" if one.alternative else "")
        )
    print(path)
    return 0


def measure(hub: Hub, count: int, is_ahead: bool, name: str) -> Report:
    _configure(hub, ready=2)
    people = [Person(hub, f"student-{number:02}") for number in range(count)]
    for person in people:
        person.sign_up()  # or is there, in a machine that was measured before
        person.log_in()
    if is_ahead:
        hub.static_files_taken()
    with client_network() as network, _line(network):
        _record(hub, network, people[0], is_ahead)  # programs and files are in memory from here on
        recording = _record(hub, network, people[0], is_ahead)
        alone = [_alone(hub, network, recording, people[0]) for _ in range(ALONE_ROUNDS)]
        browser_alone = [_real(hub, network, people[0], is_ahead, 0.0) for _ in range(ALONE_ROUNDS)]
        _configure(hub, ready=count)
        everybody = _class(hub, network, recording, people, is_ahead)
    for person in people:
        person.close()
    seen = {
        "recording": asdict(recording),
        "alone": [asdict(one) for one in alone],
        "browser_alone": [asdict(one) for one in browser_alone],
        "class": asdict(everybody),
    }
    conditions = {"people": count, "within_s": WITHIN_S, "line": "100 Mbit/s", "ahead": is_ahead}
    return Report(name, tuple(_figures(alone, browser_alone, everybody)), conditions, seen)


def _figures(alone: Sequence[Result], browser: Sequence[Result], everybody: Class) -> Iterator[Figure]:
    crowd = everybody.results
    for words, key in (("launcher", "usable_s"), ("first cell", "done_s")):
        one_s = median([getattr(one, key) for one in alone])
        browser_s = median([getattr(one, key) for one in browser])
        took = [getattr(one, key) for one in crowd]
        among = max(getattr(one, key) for one in everybody.browsers)
        yield Figure(f"one of the class alone, {words}", "s", one_s, browser_s, "a real browser alone")
        for which, value_s in (("median", median(took)), ("p95", percentile(took, 95))):
            yield Figure(f"{len(crowd)} at once, {words}, {which}", "s", value_s, one_s, "alone")
        yield Figure(
            f"{len(crowd)} at once, {words}, last", "s", max(took), one_s, "alone", one_s * TIMES_ALONE
        )
        yield Figure(f"real browsers among them, {words}, the slower", "s", among, browser_s, "alone")
    yield Figure("bytes of one", "MB", median([one.bytes for one in crowd]) / 1e6)
    yield Figure("requests of one", "", median([one.requests for one in crowd]))
    people = len(crowd) + len(everybody.browsers)
    for program, seconds in sorted(everybody.processor_s.items()):
        yield Figure(f"processor for each of them, {program}", "s", seconds / people)
    yield Figure("processor for each of them, all", "s", sum(everybody.processor_s.values()) / people)


def _configure(hub: Hub, *, ready: int) -> None:
    hub.edit(_CONFIG.format(ready=ready))
    code, status = hub.apply()
    assert code == 0, status["problems"]
    until(lambda: pool_is_full(hub), _FILL_S, "a full pool")


@contextmanager
def _line(network: Network) -> Iterator[None]:
    """The one that all clients of this network share, both ways."""
    outside = ["tc", "qdisc", "add", "dev", network.interface, *_LINE]
    inside = ["tc", "-n", network.namespace, "qdisc", "add", "dev", "eth0", *_LINE]
    for command in (outside, inside):
        subprocess.run(command, check=True)
    # Chromium drops its requests when an address comes, as those of IPv6 do a moment after the link.
    tentative = ["ip", "-n", network.namespace, "-6", "addr", "show", "tentative"]
    until(lambda: not subprocess.run(tentative, stdout=subprocess.PIPE, check=True).stdout, 30.0, "addresses")
    yield  # it goes with the network


def _record(hub: Hub, network: Network, person: Person, is_ahead: bool) -> Recording:
    with chromium(hub, beside=network) as browser:
        context = _context(browser, person, is_ahead)
        page = context.new_page()
        recorder = Recorder(context, page, person.name)
        begun_s = time.monotonic()
        _visit(page, person, recorder.mark)
        recording = recorder.recording(begun_s)
    _leave(hub, [person])
    return recording


def _real(hub: Hub, network: Network, person: Person, is_ahead: bool, begins_s: float) -> Result:
    """A real browser, which is there and signed in long before its click (`begins_s` after now, or at once)."""
    now_s = time.monotonic()
    with chromium(hub, beside=network) as browser:
        context = _context(browser, person, is_ahead)
        page = context.new_page()
        if begins_s:
            time.sleep(max(0.0, now_s + begins_s - time.monotonic()))
        begun_s = time.monotonic()
        marks: dict[str, float] = {}
        _visit(page, person, lambda kind: marks.update({kind: time.monotonic() - begun_s}))
    if not begins_s:
        _leave(hub, [person])
    return Result(person.name, marks["usable"], marks["done"], 0, 0, 0)


def _context(browser: Browser, person: Person, is_ahead: bool) -> BrowserContext:
    context = browser.new_context(viewport={"width": 1280, "height": 800})
    context.set_default_timeout(STEP_MS)
    context.add_init_script(LISTEN)
    if is_ahead:
        sign_in_on_the_page(context, person)
    else:
        signed_in(context, person)
    return context


def _visit(page: Page, person: Person, mark: Callable[[str], None]) -> None:
    page.goto(f"{person.base}/hub/spawn?opt-server=warm&next={person.home}{LAUNCHER.path}")
    expect(page.locator(LAUNCHER.usable).first).to_be_visible(timeout=START_MS)
    mark("usable")
    page.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
    run_a_cell(page)
    mark("done")


def _alone(hub: Hub, network: Network, recording: Recording, person: Person) -> Result:
    (result,) = _replayed(hub, network, recording, [Task(person.name, cookies_of(person), 0.0)])
    _leave(hub, [person])
    return result


def _class(
    hub: Hub, network: Network, recording: Recording, people: Sequence[Person], is_ahead: bool
) -> Class:
    """Real browsers click after a third and two thirds of the time."""
    before_s, _ = _processor(hub)
    real, repeated = people[:BROWSERS], people[BROWSERS:]
    gap_s = WITHIN_S / len(repeated)
    with ThreadPoolExecutor(BROWSERS) as pool:
        browsers = [
            pool.submit(
                _real, hub, network, person, is_ahead, _BROWSERS_START_S + WITHIN_S * (n + 1) / (BROWSERS + 1)
            )
            for n, person in enumerate(real)
        ]
        tasks = [
            Task(person.name, cookies_of(person), _BROWSERS_START_S + n * gap_s)
            for n, person in enumerate(repeated)
        ]
        results = _replayed(hub, network, recording, tasks)
        found = [one.result() for one in browsers]
    after_s, claimed = _processor(hub)
    return Class(results, found, _by_program(before_s, after_s, claimed))


def _replayed(hub: Hub, network: Network, recording: Recording, tasks: Sequence[Task]) -> list[Result]:
    with tempfile.TemporaryDirectory() as folder:
        certificate = Path(folder, "machine.crt")
        hub.machine.pull(CERTIFICATE, certificate)
        asked = {
            **asdict(recording),
            "base": f"https://{hub.machine.address}",
            "certificate": str(certificate),
            "tasks": [asdict(task) for task in tasks],
        }
        inside = ["nsenter", f"--net={network.path}", sys.executable, "-m", "tests.bench.replay"]
        done = subprocess.run(inside, input=json.dumps(asked), stdout=subprocess.PIPE, text=True, check=True)
    return [Result(**one) for one in json.loads(done.stdout)]


def _leave(hub: Hub, people: Sequence[Person]) -> None:
    """As it was before the first click: what was open and made is gone, and a slot waits again."""
    for person in people:
        forget(person)
        for file in person.jupyter("GET", "/api/contents").json()["content"]:
            if file["type"] == "notebook":
                person.jupyter("DELETE", f"/api/contents/{file['path']}")
        person.stop()
    until(lambda: pool_is_full(hub), _FILL_S, "a full pool")


def _processor(hub: Hub) -> tuple[dict[str, float], set[str]]:
    """Seconds by unit or container, and the containers of users' servers."""
    found = json.loads(hub.machine.run(["python3", "-c", _PROCESSOR]).stdout)
    return found["seconds"], set(found["claimed"])


def _by_program(
    before_s: Mapping[str, float], after_s: Mapping[str, float], claimed: Collection[str]
) -> dict[str, float]:
    """What was used between two moments. What no user has is a slot that was made meanwhile."""
    found: Counter[str] = Counter()
    for name, seconds in after_s.items():
        if _CONTAINER.fullmatch(name):
            program = "users' servers" if name in claimed else "slots made meanwhile"
        else:
            program = name if name in _PROGRAMS else "all else"
        found[program] += seconds - before_s.get(name, 0.0)
    return dict(found)


def cookies_of(person: Person) -> tuple[str, ...]:
    """Those of the hub, as Set-Cookie has them."""
    host = urlsplit(person.base).hostname
    return tuple(
        f"{one.name}={one.value}; Domain={host}; Path={one.path}; Secure"
        for one in person.session.cookies
        if not one.path.startswith("/user/")
    )


if __name__ == "__main__":
    sys.exit(main())
