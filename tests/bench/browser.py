"""In a real browser, through nginx with TLS: from the click to a JupyterLab that can be used, warm and cold."""

from __future__ import annotations

import time

from playwright.sync_api import Browser, expect

from tests.bench.figures import Figure, Report, median
from tests.browser.chromium import chromium
from tests.browser.people import START_MS, STEP_MS
from tests.machine.client import Person
from tests.machine.hub import Hub, until

ROUNDS = 8
_CONFIG = """\
hub: {signup: open, ask_email: true, stop_idle_after: 0}
servers:
  warm: {image: hubagent/julia, memory: 2G, cpus: 2, warm: {ready: 1, max: 1, pluto: false}}
  cold: {image: hubagent/julia, memory: 2G, cpus: 2}
"""


def measure(hub: Hub) -> Report:
    shipped = hub.edit(_CONFIG)
    code, status = hub.apply()
    assert code == 0, status["problems"]
    account = Person(hub, "browser-bench")
    account.sign_up()
    account.log_in()
    seen: dict[str, list[float]] = {"warm": [], "cold": []}
    try:
        with chromium() as browser:
            _open(hub, browser, account, "cold")  # pages and programs are in memory from here on
            for _ in range(ROUNDS):
                for server, samples in seen.items():
                    samples.append(_open(hub, browser, account, server))
    finally:
        account.close()
        hub.edit(shipped)
        hub.apply()
    figure = Figure(
        "click to a usable JupyterLab in Chromium, through TLS, median",
        "s",
        median(seen["warm"]),
        median(seen["cold"]),
        "the same without a slot",
        None,
        f"{ROUNDS} times in turns, an empty browser cache each time",
    )
    return Report("browser", (figure,), {"rounds": ROUNDS}, seen)


def _open(hub: Hub, browser: Browser, account: Person, server: str) -> float:
    """Seconds from the click to the launcher's first card, with a new browser profile."""
    until(lambda: _pool_is_full(hub), 300.0, "a full pool")
    context = browser.new_context(ignore_https_errors=True, viewport={"width": 1280, "height": 800})
    context.set_default_timeout(STEP_MS)
    page = context.new_page()
    page.goto(f"{account.base}/hub/login")
    page.locator("input[name=username]").fill(account.name)
    page.locator("input[name=password]").first.fill(account.password)
    page.locator("#login_submit, button[type=submit], input[type=submit]").first.click()
    page.wait_for_url("**/hub/**")
    page.goto(f"{account.base}/hub/home")
    begun_s = time.perf_counter()
    page.goto(f"{account.base}/hub/spawn?opt-server={server}")
    expect(page.locator(".jp-LauncherCard").first).to_be_visible(timeout=START_MS)
    took_s = time.perf_counter() - begun_s
    context.close()
    account.stop()
    return took_s


def _pool_is_full(hub: Hub) -> bool:
    return all(pool["ready"] >= pool["desired"] for pool in hub.status()["pools"])
