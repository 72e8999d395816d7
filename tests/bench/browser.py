"""In a real browser, through nginx with TLS: from the click to a page that can be used, and to what its first cell printed;
with bytes, requests, and how many of them reached the user's server.

Beside each other, in turns: a waiting slot and a new container, files of pages from nginx and from the user's server, the
machine's own network and a slow one, an empty browser cache, one that has had the same page, and one in which the sign-in
page has put what it fetches ahead, and the landings: JupyterLab's launcher, a notebook in JupyterLab, the same in Notebook 7,
and Notebook 7's list of files.

The floor is the same JupyterLab in the same browser with a filled cache, without hub, proxy and TLS. With the launcher, its
first cell waits for a kernel that the click has started; with a notebook, the kernel was started before, has run a cell, and is
attached to it by a session.
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
from tests.bench.floor import EMPTY_NOTEBOOK, Floor, floor
from tests.browser.chromium import chromium
from tests.browser.people import START_MS, STEP_MS, fetched_ahead
from tests.machine import notebook_image
from tests.machine.client import Person
from tests.machine.hub import Hub, until

ROUNDS: Final = 3
_CONFIG: Final = f"""\
hub: {{signup: open, ask_email: true, stop_idle_after: 0}}
servers:
  warm:
    image: {notebook_image.NAME}
    memory: 2G
    cpus: 2
    warm: {{ready: 1, max: 1, pluto: false, kernels: {{python3: 1}}}}
  cold: {{image: {notebook_image.NAME}, memory: 2G, cpus: 2}}
"""
_SETS: Final = "/var/lib/hubagent/static"
_NOTEBOOK: Final = "bench.ipynb"


@dataclass(frozen=True)
class Line:
    """What Chromium makes of its network (CDP, Network.emulateNetworkConditions)."""

    name: str
    latency_ms: float
    bytes_per_s: float


_HOME_LINE: Final = Line("10 Mbit/s and 20 ms", 20.0, 10e6 / 8)


@dataclass(frozen=True)
class Landing:
    """The page that a click leads to."""

    name: str
    path: str  # below the address of a user's server
    usable: str  # CSS selector of what a person waits for


# Runs in each page: has a kernel answered what every client asks first? (Jupyter's messaging, kernel_info)
LISTEN: Final = """
window.WebSocket = class extends WebSocket {
    constructor(...how) {
        super(...how);
        this.addEventListener("message", ({data}) => {
            const text = typeof data === "string" || window.benchKernelAnswered ? data : new TextDecoder().decode(data);
            window.benchKernelAnswered ||= text.includes("kernel_info_reply");
        });
    }
};
"""

_EDITOR: Final = ".jp-Notebook .cm-content"
LAUNCHER: Final = Landing("launcher", "/lab", ".jp-LauncherCard")
LAB_NOTEBOOK: Final = Landing("notebook in JupyterLab", f"/lab/tree/{_NOTEBOOK}", _EDITOR)
NOTEBOOK_7: Final = Landing("notebook in Notebook 7", f"/notebooks/{_NOTEBOOK}", _EDITOR)
TREE: Final = Landing("files in Notebook 7", "/tree", ".jp-DirListing-item")


@dataclass(frozen=True)
class Way:
    """How one page is opened."""

    server: str  # of _CONFIG; empty for the floor
    landing: Landing = LAUNCHER
    by_nginx: bool = True  # files of pages
    is_cached: bool = False
    is_ahead: bool = False  # signed in on the hub's page, once it had fetched what it offers
    line: Line | None = None

    @property
    def name(self) -> str:
        files = "" if self.by_nginx else ", files from the user's server"
        cache = "filled cache" if self.is_cached else "fetched ahead" if self.is_ahead else "empty cache"
        line = f", {self.line.name}" if self.line else ""
        return f"{self.server or 'floor'}, {self.landing.name}, {cache}{files}{line}"


@dataclass(frozen=True)
class Sample:
    """One page, from the click on."""

    usable_s: float
    first_cell_s: float | None  # a list of files has none
    bytes: int  # as they came over the line
    requests: int
    of_server: int  # requests that reached the user's server
    bytes_ahead: int  # by the sign-in page, before the click


FLOOR: Final = Way("", is_cached=True)
FLOOR_NOTEBOOK: Final = Way("", LAB_NOTEBOOK, is_cached=True)
WARM: Final = Way("warm")
WARM_FILLED: Final = Way("warm", is_cached=True)
WARM_SLOW: Final = Way("warm", line=_HOME_LINE)
AHEAD: Final = Way("warm", is_ahead=True)
AHEAD_SLOW: Final = Way("warm", is_ahead=True, line=_HOME_LINE)
COLD: Final = Way("cold")
OPEN: Final = Way("warm", LAB_NOTEBOOK)
OPEN_FILLED: Final = Way("warm", LAB_NOTEBOOK, is_cached=True)
LIGHT: Final = Way("warm", NOTEBOOK_7)
LIGHT_FILLED: Final = Way("warm", NOTEBOOK_7, is_cached=True)
FILES: Final = Way("warm", TREE)
LIGHT_AHEAD: Final = Way("warm", NOTEBOOK_7, is_ahead=True)
FILES_AHEAD: Final = Way("warm", TREE, is_ahead=True)
LIGHT_PLAIN: Final = Way("warm", NOTEBOOK_7, by_nginx=False)
FILES_PLAIN: Final = Way("warm", TREE, by_nginx=False)
PLAIN: Final = Way("warm", by_nginx=False)
PLAIN_SLOW: Final = Way("warm", by_nginx=False, line=_HOME_LINE)
BY_NGINX: Final = (
    FLOOR,
    FLOOR_NOTEBOOK,
    WARM,
    WARM_FILLED,
    WARM_SLOW,
    AHEAD,
    AHEAD_SLOW,
    COLD,
    OPEN,
    OPEN_FILLED,
    LIGHT,
    LIGHT_FILLED,
    FILES,
)
ON_TREE: Final = (LIGHT_AHEAD, FILES_AHEAD)
"""Where people land on Notebook 7's pages: the sign-in page fetches what those need."""
BY_SERVERS: Final = (PLAIN, PLAIN_SLOW, LIGHT_PLAIN, FILES_PLAIN)


def measure(hub: Hub) -> Report:
    notebook_image.build(hub.machine)
    shipped = hub.edit(_CONFIG)
    code, status = hub.apply()
    assert code == 0, status["problems"]
    hub.static_files_taken()
    account = Person(hub, "browser-bench")
    account.sign_up()
    account.log_in()
    samples: dict[Way, list[Sample]] = {way: [] for way in (*BY_NGINX, *ON_TREE, *BY_SERVERS)}
    try:
        with chromium(hub) as browser, floor(hub.machine, notebook_image.NAME, _NOTEBOOK) as beneath:
            bench = _Bench(hub, browser, account, beneath)
            bench.prepare()
            for _ in range(ROUNDS):
                for way in BY_NGINX:
                    samples[way].append(bench.open(way))
                with landing_on(hub, TREE):
                    for way in ON_TREE:
                        samples[way].append(bench.open(way))
                with files_from_servers(hub):
                    for way in BY_SERVERS:
                        samples[way].append(bench.open(way))
    finally:
        account.close()
        hub.edit(shipped)
        hub.apply()
    seen = {way.name: [asdict(one) for one in found] for way, found in samples.items()}
    return Report("browser", tuple(_figures(samples)), {"rounds": ROUNDS}, seen)


def _figures(samples: dict[Way, list[Sample]]) -> Iterator[Figure]:
    note = f"{ROUNDS} times in turns, medians"

    def figure(
        name: str, unit: str, what: Callable[[Sample], float], way: Way, other: tuple[Way, str]
    ) -> Figure:
        ours, theirs = (median([what(one) for one in samples[each]]) for each in (way, other[0]))
        return Figure(name, unit, ours, theirs, other[1], None, note)

    def usable(one: Sample) -> float:
        return one.usable_s

    def cell(one: Sample) -> float:
        assert one.first_cell_s is not None
        return one.first_cell_s

    beneath = FLOOR, "the floor: filled cache, no hub, no TLS"
    beneath_notebook = FLOOR_NOTEBOOK, "the floor: filled cache, no hub, no TLS, kernel waits"
    by_server = PLAIN, "files from the user's server"
    for title, way, other in (
        ("empty cache", WARM, (COLD, "without a slot")),
        ("empty cache", WARM, by_server),
        ("empty cache, 10 Mbit/s and 20 ms", WARM_SLOW, (PLAIN_SLOW, by_server[1])),
        ("fetched ahead", AHEAD, (WARM, "empty cache")),
        ("fetched ahead, 10 Mbit/s and 20 ms", AHEAD_SLOW, (WARM_SLOW, "empty cache")),
        ("empty cache", WARM, beneath),
        ("fetched ahead", AHEAD, beneath),
        ("filled cache", WARM_FILLED, beneath),
    ):
        for words, what in (("launcher", usable), ("first Python cell", cell)):
            yield figure(f"click to {words} in Chromium, {title}", "s", what, way, other)
    for title, way, other in (
        ("empty cache", OPEN, beneath_notebook),
        ("filled cache", OPEN_FILLED, beneath_notebook),
        ("Notebook 7, empty cache", LIGHT, (OPEN, "in JupyterLab")),
        ("Notebook 7, filled cache", LIGHT_FILLED, (OPEN_FILLED, "in JupyterLab")),
        ("Notebook 7, fetched ahead", LIGHT_AHEAD, (LIGHT, "empty cache")),
        ("Notebook 7, empty cache", LIGHT, (LIGHT_PLAIN, by_server[1])),
    ):
        yield figure(f"click to the first cell of a notebook, {title}", "s", cell, way, other)
    for title, way, other in (
        ("empty cache", FILES, (WARM, "launcher")),
        ("empty cache", FILES, (FILES_PLAIN, by_server[1])),
        ("fetched ahead", FILES_AHEAD, (FILES, "empty cache")),
    ):
        yield figure(f"click to the files in Notebook 7, {title}", "s", usable, way, other)
    for words, unit, counted in (
        ("bytes", "MB", lambda one: one.bytes / 1e6),
        ("requests that reach the user's server", "", lambda one: float(one.of_server)),
    ):
        yield figure(f"a first page: {words}", unit, counted, WARM, by_server)
        yield figure(f"a first page, fetched ahead: {words}", unit, counted, AHEAD, (WARM, "empty cache"))
        yield figure(f"a notebook in Notebook 7: {words}", unit, counted, LIGHT, (OPEN, "in JupyterLab"))
        for title, plain, empty, ahead in (
            ("a notebook in Notebook 7", LIGHT_PLAIN, LIGHT, LIGHT_AHEAD),
            ("the files in Notebook 7", FILES_PLAIN, FILES, FILES_AHEAD),
        ):
            yield figure(f"{title}: {words}", unit, counted, empty, (plain, by_server[1]))
            yield figure(f"{title}, fetched ahead: {words}", unit, counted, ahead, (empty, "empty cache"))


class _Bench:
    """One browser, before one machine."""

    def __init__(self, hub: Hub, browser: Browser, account: Person, beneath: Floor) -> None:
        self._hub = hub
        self._browser = browser
        self._account = account
        self._floor = beneath
        self._filled: dict[Landing | None, BrowserContext] = {}  # by what was opened, None for the floor's

    def prepare(self) -> None:
        """Put the notebook into the home, and open each page once: programs are in memory, and caches that are to be
        filled are filled from here on."""
        self._account.start("warm")
        self._account.jupyter("PUT", f"/api/contents/{_NOTEBOOK}", EMPTY_NOTEBOOK)
        self._account.stop()
        for way in BY_NGINX:
            if way.is_cached or way is COLD:
                self.open(way)

    def open(self, way: Way) -> Sample:
        print(f"  {way.name}", flush=True)
        until(lambda: pool_is_full(self._hub), 300.0, "a full pool")
        context = self._context(way)
        try:
            return self._visit(context, way)
        finally:
            if not way.is_cached:
                context.close()
            if way.server and self._account.servers():
                self._account.stop()

    def _context(self, way: Way) -> BrowserContext:
        key = way.landing if way.server else None
        if way.is_cached and key in self._filled:
            return self._filled[key]
        context = self._browser.new_context(viewport={"width": 1280, "height": 800})
        context.set_default_timeout(STEP_MS)
        context.add_init_script(LISTEN)
        if way.server and not way.is_ahead:
            signed_in(context, self._account)
        if way.is_cached:
            self._filled[key] = context
        return context

    def _visit(self, context: BrowserContext, way: Way) -> Sample:
        bytes_ahead = sign_in_on_the_page(context, self._account) if way.is_ahead else 0
        page = context.new_page()
        counter = _Counter(context, page, way.line)
        address = self._address(way)
        begun_s = time.perf_counter()
        page.goto(address)
        expect(page.locator(way.landing.usable).first).to_be_visible(timeout=START_MS)
        usable_s = time.perf_counter() - begun_s
        first_cell_s = None
        if way.landing != TREE:
            if way.landing == LAUNCHER:
                page.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
            run_a_cell(page)
            first_cell_s = time.perf_counter() - begun_s
        page.close()
        if way.server:
            forget(self._account)
        return Sample(usable_s, first_cell_s, counter.bytes, counter.requests, counter.of_server, bytes_ahead)

    def _address(self, way: Way) -> str:
        if not way.server:
            return self._floor.address(way.landing.path)
        landing = f"{self._account.home}{way.landing.path}"
        return f"{self._account.base}/hub/spawn?opt-server={way.server}&next={landing}"


def forget(person: Person) -> None:
    """What was open, so that the next page begins with the launcher, too."""
    person.enter()
    answer = person.jupyter("DELETE", "/lab/api/workspaces/default")
    assert answer.status_code in (204, 404), answer.text


def signed_in(context: BrowserContext, person: Person) -> None:
    """Without any of the hub's pages: they would fill the cache."""
    for cookie in person.session.cookies:
        if not cookie.path.startswith("/user/"):
            context.add_cookies(
                [
                    {
                        "name": cookie.name,
                        "value": cookie.value or "",
                        "domain": urlsplit(person.base).hostname or "",
                        "path": cookie.path,
                        "secure": True,
                    }
                ]
            )


def sign_in_on_the_page(context: BrowserContext, person: Person) -> int:
    """As somebody who takes their time; how many bytes the page has fetched meanwhile."""
    page = context.new_page()
    counter = _Counter(context, page, None)
    page.goto(f"{person.base}/hub/login?next=/hub/home")
    fetched_ahead(page)
    page.locator("input[name=username]").fill(person.name)
    page.locator("input[name=password]").first.fill(person.password)
    page.locator("#login_submit").click()
    page.wait_for_url("**/hub/home")
    page.close()
    return counter.bytes


def run_a_cell(page: Page) -> None:
    expect(page.locator(_EDITOR).first).to_be_visible(timeout=START_MS)
    # What is run before the kernel has answered is dropped, and Notebook 7 says that one is idle before it is there.
    page.wait_for_function("window.benchKernelAnswered", timeout=START_MS)
    expect(page.locator(".jp-Notebook-ExecutionIndicator[data-status='idle']")).to_be_visible(
        timeout=START_MS
    )
    page.locator(_EDITOR).last.click()
    page.keyboard.insert_text("print(6 * 7)")
    page.keyboard.press("Shift+Enter")
    expect(page.locator(".jp-OutputArea-output").filter(has_text="42").first).to_be_visible(timeout=START_MS)


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
def files_from_servers(hub: Hub) -> Iterator[None]:
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


@contextmanager
def landing_on(hub: Hub, landing: Landing) -> Iterator[None]:
    """People land on this page, as the hub's configuration says."""
    before = hub.edit(_CONFIG.replace("hub: {", f"hub: {{landing: {landing.path}, "))
    try:
        code, status = hub.apply()
        assert code == 0, status["problems"]
        yield
    finally:
        hub.edit(before)
        hub.apply()


def pool_is_full(hub: Hub) -> bool:
    return all(pool["ready"] >= pool["desired"] for pool in hub.status()["pools"])
