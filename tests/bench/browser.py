"""In a real browser, through nginx with TLS: from the click to a JupyterLab that can be used, and to what its first cell
printed; with bytes, requests, and how many of them reached the user's server.

Beside each other, in turns: a waiting slot and a new container, files of pages from nginx and from the user's server, the
machine's own network and a slow one, each with an empty browser cache: Chromium keeps nothing of a site whose certificate it
was told to overlook. The floor is the same JupyterLab without a hub, without TLS, with a filled cache.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Final
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page, expect

from tests.bench.figures import Figure, Report, median
from tests.browser.chromium import chromium
from tests.browser.people import START_MS, STEP_MS
from tests.machine.client import Person
from tests.machine.hub import Hub, until

ROUNDS: Final = 5
_CONFIG: Final = """\
hub: {signup: open, ask_email: true, stop_idle_after: 0}
servers:
  warm: {image: hubagent/julia, memory: 2G, cpus: 2, warm: {ready: 1, max: 1, pluto: false, kernels: {python3: 1}}}
  cold: {image: hubagent/julia, memory: 2G, cpus: 2}
"""
_FLOOR: Final = "hubagent-bench-floor"
_FLOOR_PORT: Final = 8899
_SETS: Final = "/var/lib/hubagent/static"


@dataclass(frozen=True)
class Line:
    """What Chromium makes of its network (CDP, Network.emulateNetworkConditions)."""

    name: str
    latency_ms: float
    bytes_per_s: float


_HOME_LINE: Final = Line("10 Mbit/s and 20 ms", 20.0, 10e6 / 8)


@dataclass(frozen=True)
class Way:
    """How one page is opened."""

    server: str  # of _CONFIG; empty for the floor
    by_nginx: bool = True  # files of pages
    is_cached: bool = False
    line: Line | None = None

    @property
    def name(self) -> str:
        files = "" if self.by_nginx else ", files from the user's server"
        cache = "filled" if self.is_cached else "empty"
        line = f", {self.line.name}" if self.line else ""
        return f"{self.server or 'floor'}, {cache} cache{files}{line}"


@dataclass(frozen=True)
class Sample:
    """One page, from the click on."""

    launcher_s: float
    first_cell_s: float
    bytes: int  # as they came over the line
    requests: int
    of_server: int  # requests that reached the user's server


FLOOR: Final = Way("", is_cached=True)
WARM: Final = Way("warm")
WARM_SLOW: Final = Way("warm", line=_HOME_LINE)
COLD: Final = Way("cold")
PLAIN: Final = Way("warm", by_nginx=False)
PLAIN_SLOW: Final = Way("warm", by_nginx=False, line=_HOME_LINE)
BY_NGINX: Final = (FLOOR, WARM, WARM_SLOW, COLD)
BY_SERVERS: Final = (PLAIN, PLAIN_SLOW)


def measure(hub: Hub) -> Report:
    shipped = hub.edit(_CONFIG)
    code, status = hub.apply()
    assert code == 0, status["problems"]
    hub.static_files_taken()
    account = Person(hub, "browser-bench")
    account.sign_up()
    account.log_in()
    samples: dict[Way, list[Sample]] = {way: [] for way in (*BY_NGINX, *BY_SERVERS)}
    try:
        with chromium() as browser, _floor(hub):
            bench = _Bench(hub, browser, account)
            bench.open(COLD)  # pages and programs are in memory from here on
            for _ in range(ROUNDS):
                for way in BY_NGINX:
                    samples[way].append(bench.open(way))
                with _files_from_servers(hub):
                    for way in BY_SERVERS:
                        samples[way].append(bench.open(way))
    finally:
        account.close()
        hub.edit(shipped)
        hub.apply()
    seen = {way.name: [asdict(one) for one in found] for way, found in samples.items()}
    return Report("browser", tuple(_figures(samples)), {"rounds": ROUNDS}, seen)


def _figures(samples: dict[Way, list[Sample]]) -> Iterator[Figure]:
    def of(way: Way, what: Callable[[Sample], float]) -> float:
        return median([what(one) for one in samples[way]])

    lab: Callable[[Sample], float] = lambda one: one.launcher_s  # noqa: E731
    cell: Callable[[Sample], float] = lambda one: one.first_cell_s  # noqa: E731
    note = f"{ROUNDS} times in turns, medians"
    for title, way, alternative, name in (
        ("empty cache", WARM, COLD, "without a slot"),
        ("empty cache", WARM, PLAIN, "files from the user's server"),
        ("empty cache, 10 Mbit/s and 20 ms", WARM_SLOW, PLAIN_SLOW, "files from the user's server"),
        ("empty cache", WARM, FLOOR, "the floor: filled cache, no hub, no TLS"),
    ):
        for what, measured in (("launcher", lab), ("first Python cell", cell)):
            yield Figure(
                f"click to {what} in Chromium, {title}",
                "s",
                of(way, measured),
                of(alternative, measured),
                name,
                None,
                note,
            )
    for what, unit, counted in (
        ("bytes", "MB", lambda one: one.bytes / 1e6),
        ("requests that reach the user's server", "", lambda one: float(one.of_server)),
    ):
        yield Figure(
            f"a first page: {what}",
            unit,
            of(WARM, counted),
            of(PLAIN, counted),
            "files from the user's server",
            None,
            note,
        )


class _Bench:
    """One browser, before one machine."""

    def __init__(self, hub: Hub, browser: Browser, account: Person) -> None:
        self._hub = hub
        self._browser = browser
        self._account = account
        self._floors = 0

    def open(self, way: Way) -> Sample:
        print(f"  {way.name}", flush=True)
        until(lambda: _pool_is_full(self._hub), 300.0, "a full pool")
        context = self._browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
        context.set_default_timeout(STEP_MS)
        try:
            if way.server:
                self._sign_in(context)
            if way.is_cached:
                self._visit(context, way)
                self._end(way)
                until(lambda: _pool_is_full(self._hub), 300.0, "a full pool")
            return self._visit(context, way)
        finally:
            context.close()
            self._end(way)

    def _sign_in(self, context: BrowserContext) -> None:
        page = context.new_page()
        page.goto(f"{self._account.base}/hub/login")
        page.locator("input[name=username]").fill(self._account.name)
        page.locator("input[name=password]").first.fill(self._account.password)
        page.locator("#login_submit, button[type=submit], input[type=submit]").first.click()
        page.wait_for_url(lambda url: "/hub/login" not in url)  # where people choose a server
        page.close()

    def _visit(self, context: BrowserContext, way: Way) -> Sample:
        page = context.new_page()
        counter = _Counter(context, page, way.line)
        begun_s = time.perf_counter()
        page.goto(self._address(way))
        expect(page.locator(".jp-LauncherCard").first).to_be_visible(timeout=START_MS)
        launcher_s = time.perf_counter() - begun_s
        page.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
        expect(page.locator(".jp-Notebook .cm-content").first).to_be_visible(timeout=START_MS)
        expect(page.get_by_role("button", name="| Idle")).to_be_visible(timeout=START_MS)
        page.locator(".jp-Notebook .cm-content").last.click()
        page.keyboard.insert_text("print(6 * 7)")
        page.keyboard.press("Shift+Enter")
        expect(page.locator(".jp-OutputArea-output").filter(has_text="42").first).to_be_visible(
            timeout=START_MS
        )
        first_cell_s = time.perf_counter() - begun_s
        page.close()
        self._forget(way)
        return Sample(launcher_s, first_cell_s, counter.bytes, counter.requests, counter.of_server)

    def _forget(self, way: Way) -> None:
        """What was open, so that the next page begins with the launcher, too."""
        if way.server:
            self._account.enter()
            answer = self._account.jupyter("DELETE", "/lab/api/workspaces/default")
            assert answer.status_code in (204, 404), answer.text

    def _address(self, way: Way) -> str:
        if not way.server:
            self._floors += 1
            workspace = f"lab/workspaces/floor-{self._floors}"
            return f"http://{self._hub.machine.address}:{_FLOOR_PORT}/{workspace}"
        return f"{self._account.base}/hub/spawn?opt-server={way.server}"

    def _end(self, way: Way) -> None:
        if way.server and self._account.servers():
            self._account.stop()


class _Counter:
    """What comes over the line to one page, and the line itself."""

    def __init__(self, context: BrowserContext, page: Page, line: Line | None) -> None:
        self.bytes = self.requests = self.of_server = 0
        session = context.new_cdp_session(page)
        session.send("Network.enable")
        session.on("Network.responseReceived", self._answered)
        session.on("Network.loadingFinished", self._finished)
        if line is not None:
            session.send(
                "Network.emulateNetworkConditions",
                {
                    "offline": False,
                    "latency": line.latency_ms,
                    "downloadThroughput": line.bytes_per_s,
                    "uploadThroughput": line.bytes_per_s,
                },
            )

    def _answered(self, event: dict[str, object]) -> None:
        response = event["response"]
        assert isinstance(response, dict)
        if response.get("fromDiskCache") or response.get("fromPrefetchCache"):
            return
        self.requests += 1
        self.of_server += urlsplit(str(response["url"])).path.startswith("/user/")

    def _finished(self, event: dict[str, object]) -> None:
        self.bytes += int(str(event["encodedDataLength"]).partition(".")[0])


@contextmanager
def _floor(hub: Hub) -> Iterator[None]:
    """JupyterLab of the same image, on the machine's own network, for whoever comes."""
    command = "jupyter lab --no-browser --ip=0.0.0.0 --ServerApp.token= --ServerApp.password="
    machine = hub.machine
    machine.run(
        [
            "docker",
            "run",
            "--rm",
            "-d",
            "--name",
            _FLOOR,
            "--network",
            "host",
            "hubagent/julia",
            "sh",
            "-c",
            f"{command} --port={_FLOOR_PORT}",
        ]
    )
    probe = ["curl", "-sf", "-o", "/dev/null", f"http://127.0.0.1:{_FLOOR_PORT}/lab"]
    try:
        until(lambda: machine.run(probe, check=False).rc == 0, 120.0, "a JupyterLab without a hub")
        yield
    finally:
        machine.run(["docker", "rm", "-f", _FLOOR])


@contextmanager
def _files_from_servers(hub: Hub) -> Iterator[None]:
    """nginx may not read what it serves, so pages name their own server, as they did before."""

    def slow() -> set[bool]:
        return {bool(image["slow_pages"]) for image in hub.status()["images"]}

    hub.machine.run(["chmod", "700", _SETS])
    try:
        hub.apply()
        until(lambda: slow() == {True}, 120.0, "pages to be told that nginx has nothing")
        yield
    finally:
        hub.machine.run(["chmod", "755", _SETS])
        hub.apply()
        until(lambda: slow() == {False}, 120.0, "pages to be told that nginx has their files")


def _pool_is_full(hub: Hub) -> bool:
    return all(pool["ready"] >= pool["desired"] for pool in hub.status()["pools"])
