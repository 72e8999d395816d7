"""Inside the machine: clicks on "Start", as a browser makes them. Prints one JSON object.

spawn.py starts ROUNDS STOCK-URL      warm, cold and the stock hub in turns
spawn.py burst SERVER USERS WITHIN_S  so many people click within so many seconds
spawn.py refilling ROUNDS             warm starts while a slot is in the making, by its phase, and while none is, in turns
spawn.py idle SECONDS                 what each waiting slot takes: memory by its proportional share, processor

Seconds are from the click. `ready` is the first answer of the user's own server through all proxies, which sends the
browser back to the hub to sign in; `page` is the server's first page, after that.
"""

from __future__ import annotations

import contextlib
import functools
import json
import re
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import requests
import urllib3
from live import cpu_s, wait_for

OURS = "https://127.0.0.1"
PASSWORD = "a rather long one 7"
METRICS = "http://127.0.0.1:9811/metrics"
STATUS = Path("/run/hubagent/status.json")
GUESTS = Path("/run/hubagent/guests")
NAVIGATE = {"Sec-Fetch-Mode": "navigate"}
HITS = 'hubagent_pool_claims_total{.*result="hit".*}'
ANSWER_S = 180.0
QUIET_S = 3.0

urllib3.disable_warnings()


class Click(NamedTuple):
    """Seconds from a click."""

    ready: float
    page: float


class Browser:
    """One signed-in person."""

    def __init__(self, base: str, name: str, *, signs_up: bool) -> None:
        self.base, self.name = base, name
        self.session = requests.Session()
        self.session.trust_env = False
        self.session.verify = False
        if signs_up:
            twice = {"password": PASSWORD, "password_again": PASSWORD, "email": "person@example.org"}
            self._submit("/hub/signup", {"username": name, **twice})
        answer = self._submit("/hub/login?next=/hub/home", {"username": name, "password": PASSWORD})
        if not answer.url.endswith("/hub/home"):
            raise SystemExit(f"{name} could not log in to {base}: {answer.url}")

    def click(self, query: str) -> Click:
        """Follow a click to the first page of the user's own server."""
        own: list[float] = []

        def note(answer: requests.Response, **_: object) -> None:
            if urlsplit(answer.url).path.startswith(f"/user/{self.name}/"):
                own.append(time.perf_counter())

        begun_s = time.perf_counter()
        answer = self._get(f"/hub/spawn{query}", note)
        while "/hub/spawn-pending/" in answer.url:
            self._follow_progress()
            answer = self._get(urlsplit(answer.url).path, note)
        ended_s = time.perf_counter()
        if answer.status_code != 200 or f"/user/{self.name}/" not in answer.url:
            raise SystemExit(f"{self.name} got {answer.status_code} from {answer.url}: {answer.text[:300]}")
        return Click(own[0] - begun_s, ended_s - begun_s)

    def stop(self) -> None:
        path = f"/hub/api/users/{self.name}/server"
        self.session.delete(self.base + path, headers=self._api_headers(), timeout=ANSWER_S)
        what = f"the end of {self.name}'s server"
        wait_for(lambda: not self.servers(), what, deadline_s=ANSWER_S)

    def servers(self) -> Any:
        answer = self.session.get(f"{self.base}/hub/api/users/{self.name}", headers=self._api_headers())
        return answer.json()["servers"]

    def _get(self, path: str, note: Callable[..., None] | None = None) -> requests.Response:
        """A page after all redirects, each of which `note` is told of."""
        hooks = {"response": note} if note else {}
        return self.session.get(self.base + path, headers=NAVIGATE, timeout=ANSWER_S, hooks=hooks)

    def _submit(self, path: str, fields: dict[str, str]) -> requests.Response:
        self._get(path)
        data = {**fields, "_xsrf": self._xsrf()}
        return self.session.post(self.base + path, data=data, headers=NAVIGATE, timeout=ANSWER_S)

    def _follow_progress(self) -> None:
        """The page that waits listens to these events, and loads itself anew after the last."""
        url = f"{self.base}/hub/api/users/{self.name}/server/progress"
        with self.session.get(url, headers=self._api_headers(), stream=True, timeout=ANSWER_S) as events:
            for line in events.iter_lines():
                if line.startswith(b"data:"):
                    event = json.loads(line[5:])
                    if event.get("failed"):
                        raise SystemExit(f"{self.name}'s server failed: {event}")
                    if event.get("ready"):
                        return

    def _api_headers(self) -> dict[str, str]:
        return {"Sec-Fetch-Mode": "same-origin", "X-XSRFToken": self._xsrf()}

    def _xsrf(self) -> str:
        return next(
            (
                one.value or ""
                for one in self.session.cookies
                if one.name == "_xsrf" and "user" not in one.path
            ),
            "",
        )


def metric(name: str) -> float:
    """The sum over all labels."""
    text = urllib.request.urlopen(METRICS, timeout=10).read().decode()
    return sum(float(value) for value in re.findall(rf"^{name}(?:{{.*}})? (\S+)$", text, re.MULTILINE))


def wait_for_pool() -> None:
    """Until every pool is full, and the machine had time to calm down. What is wanted is the status's to say; what is
    ready the slots' own files: the status may be of a moment ago."""

    def full() -> bool:
        ready = Counter(slot["server"] for slot in _slots() if slot["phase"] == "ready")
        pools = json.loads(STATUS.read_text())["pools"]
        return all(ready[pool["server"]] >= pool["desired"] for pool in pools)

    wait_for(full, "full pools", deadline_s=ANSWER_S * 5)
    time.sleep(QUIET_S)


def _slots() -> list[dict[str, Any]]:
    found = []
    for path in GUESTS.glob("*/slot.json"):
        with contextlib.suppress(FileNotFoundError):  # the slot has just gone
            found.append(json.loads(path.read_text()))
    return found


def _warm_click(person: Browser) -> Click:
    """A click that must be served from the pool."""
    hits = metric(HITS)
    click = person.click("?opt-server=warm")
    if metric(HITS) != hits + 1:
        raise SystemExit("a warm start was not served from the pool")
    return click


def starts(rounds: int, stock: str) -> dict[str, dict[str, list[float]]]:
    """By kind of start, and by what was waited for; `claim` is the agent's part of each warm start."""
    ours = Browser(OURS, "bench", signs_up=True)
    theirs = Browser(stock, "bench", signs_up=False)
    for person, query in ((ours, "?opt-server=cold"), (theirs, "")):  # homes exist, pages are in memory
        person.click(query)
        person.stop()
    clicks: dict[str, list[Click]] = {"warm": [], "cold": [], "stock": []}
    claims: list[float] = []
    for _ in range(rounds):
        wait_for_pool()
        before = metric("hubagent_pool_claim_duration_seconds_sum")
        clicks["warm"].append(_warm_click(ours))
        claims.append(metric("hubagent_pool_claim_duration_seconds_sum") - before)
        ours.stop()
        wait_for_pool()
        clicks["cold"].append(ours.click("?opt-server=cold"))
        ours.stop()
        wait_for_pool()
        clicks["stock"].append(theirs.click(""))
        theirs.stop()
    return {"claim": {"claim": claims}, **{kind: _columns(found) for kind, found in clicks.items()}}


def _columns(found: list[Click]) -> dict[str, list[float]]:
    return {name: [getattr(click, name) for click in found] for name in Click._fields}


def burst(server: str, users: int, within_s: float) -> dict[str, list[float]]:
    people = [Browser(OURS, f"student{number}", signs_up=True) for number in range(users)]
    wait_for_pool()
    begun_s = time.monotonic()
    gate = threading.Event()

    def one(number: int) -> Click:
        gate.wait(max(0.0, begun_s + number * within_s / users - time.monotonic()))
        return people[number].click(f"?opt-server={server}")

    with ThreadPoolExecutor(users) as pool:
        found = list(pool.map(one, range(users)))
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(Browser.stop, people))
    return _columns(found)


def refilling(rounds: int) -> dict[str, list[float]]:
    """Seconds to ready, beside the server of somebody else, whose slot is being replaced or has been."""
    before, person = (Browser(OURS, name, signs_up=True) for name in ("early", "late"))
    wait_for_pool()
    for one in (before, person):  # homes exist
        _warm_click(one)
        one.stop()
    found: dict[str, list[float]] = {"calm": [], "creating": [], "warming": []}
    for _ in range(rounds):
        for phase, samples in found.items():
            wait_for_pool()
            _warm_click(before)
            if phase == "calm":
                wait_for_pool()
            else:
                wait_for(functools.partial(_is_one, phase), f"a slot that is {phase}", deadline_s=ANSWER_S)
            samples.append(_warm_click(person).ready)
            for one in (before, person):
                if one.servers():
                    one.stop()
    return found


def _is_one(phase: str) -> bool:
    return any(slot["phase"] == phase for slot in _slots())


def idle(window_s: float) -> list[dict[str, float]]:
    """One entry for each waiting slot: bytes, and the share of one processor."""
    wait_for_pool()
    pids = [_pids(slot["container"]) for slot in _slots() if slot["phase"] == "ready"]
    used = [sum(map(cpu_s, one)) for one in pids]
    time.sleep(window_s)
    return [
        {"bytes": sum(map(_share, one)), "cpu": (sum(map(cpu_s, one)) - before) / window_s}
        for one, before in zip(pids, used, strict=True)
    ]


def _pids(container: str) -> list[int]:
    top = subprocess.run(["docker", "top", container, "-o", "pid"], stdout=subprocess.PIPE, check=True)
    return [int(line) for line in top.stdout.split()[1:]]


def _share(pid: int) -> int:
    """Proportional set size, in bytes (proc(5), smaps_rollup)."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("Pss:"))


if __name__ == "__main__":
    command, *words = sys.argv[1:]
    if command == "starts":
        result: object = starts(int(words[0]), words[1])
    elif command == "burst":
        result = burst(words[0], int(words[1]), float(words[2]))
    elif command == "refilling":
        result = refilling(int(words[0]))
    else:
        result = idle(float(words[0]))
    print(json.dumps(result))
