"""What people do in a browser: log in, sign up, approve, start a server, compute."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Browser, Error, Page, WebSocket, expect

from tests.waiting import wait_until

STEP_MS = 30_000
START_MS = 120_000


class Person:
    """One person with a browser of their own, on one hub."""

    def __init__(self, browser: Browser, url: str, screenshots: Path) -> None:
        self._context = browser.new_context(viewport={"width": 1280, "height": 800})
        self._context.set_default_timeout(STEP_MS)
        self._url = url
        self._screenshots = screenshots
        self.page: Page = self._context.new_page()
        self.closed_kernel_sockets: list[str] = []
        self.open_kernel_sockets = 0
        self.page.on("websocket", self._watch)
        self.static_of_nginx: set[str] = set()  # addresses of files that pages have loaded
        self.static_fetched_ahead: set[str] = set()  # those of nginx's that were fetched ahead
        self.static_of_servers: set[str] = set()
        network = self._context.new_cdp_session(self.page)
        network.send("Network.enable")
        network.on("Network.responseReceived", self._loaded)

    def close(self) -> None:
        self._context.close()

    def picture(self, name: str) -> None:
        """Chromium refuses while it goes from one page to another."""
        self._screenshots.mkdir(parents=True, exist_ok=True)
        target = self._screenshots / f"{name}.png"
        wait_until(lambda: self._capture(target), f"a picture of {name}")

    def _capture(self, target: Path) -> bool:
        try:
            self.page.screenshot(path=str(target))
        except Error as error:
            if "Unable to capture screenshot" not in error.message:
                raise
            return False
        return True

    def visit(self, path: str) -> None:
        self.page.goto(self._url + path)

    def log_in(self, name: str, password: str) -> None:
        self.visit("/hub/login")
        self.page.locator("input[name=username]").fill(name)
        self.page.locator("input[name=password]").first.fill(password)
        self.picture(f"login-{name}")
        self.page.locator("#login_submit, button[type=submit], input[type=submit]").first.click()

    def choose_password(self, old: str, new: str) -> None:
        """The page that follows a login with a one-time password."""
        fields = self.page.locator("input[type=password]")
        expect(fields.first).to_be_visible()
        self.picture("new-password")
        values = [old, new, new] if fields.count() == 3 else [new, new]
        for field, value in zip(fields.all(), values, strict=True):
            field.fill(value)
        self.page.locator("form button[type=submit]").first.click()

    def sign_up(self, name: str, password: str, email: str) -> None:
        self.visit("/hub/signup")
        self.page.locator("input[name=username]").fill(name)
        if self.page.locator("input[name=email]").count():
            self.page.locator("input[name=email]").fill(email)
        for field in self.page.locator("input[type=password]").all():
            field.fill(password)
        self.page.locator("form button[type=submit]").first.click()
        self.picture("signed-up")

    def approve(self, name: str) -> None:
        self.visit("/hub/authorize")
        self.picture("accounts")
        self.page.get_by_role("button", name=f"Approve {name}").click()
        expect(self.page.get_by_role("button", name=f"Approve {name}")).to_have_count(0)

    def enters_lab(self) -> None:
        """Wait for what follows signing in where there is one server to choose from."""
        self.page.wait_for_url("**/user/**/lab**", timeout=START_MS)
        expect(self.page.locator("#jp-main-dock-panel")).to_be_visible(timeout=START_MS)

    def open_notebook(self) -> None:
        card = self.page.locator(".jp-LauncherCard[data-category='Notebook']").first
        card.click(timeout=START_MS)
        expect(self.page.locator(".jp-Notebook .cm-content").first).to_be_visible()
        # JupyterLab drops what is run before its kernel has answered.
        expect(self.page.get_by_role("button", name="| Idle")).to_be_visible(timeout=START_MS)

    def run_cell(self, code: str) -> None:
        """Run code in the last cell; does not wait for its end."""
        editor = self.page.locator(".jp-Notebook .cm-content").last
        editor.click()
        self.page.keyboard.insert_text(code)
        self.page.keyboard.press("Shift+Enter")

    def output(self) -> str:
        return "\n".join(self.page.locator(".jp-OutputArea-output").all_inner_texts())

    def sees(self, text: str, timeout_ms: float = STEP_MS) -> None:
        expect(self.page.locator(".jp-OutputArea-output").filter(has_text=text).first).to_be_visible(
            timeout=timeout_ms
        )

    def _loaded(self, event: dict[str, Any]) -> None:
        """What a page asks for; what the browser fetches ahead has no kind yet (CDP, Network.ResourceType)."""
        if event["type"] == "Other":
            return
        response = event["response"]
        place = urlsplit(response["url"])
        if place.path.startswith("/hubagent-static/"):
            if response["status"] == 200:
                address = f"{place.path}?{place.query}" if place.query else place.path
                if response.get("fromPrefetchCache"):
                    self.static_fetched_ahead.add(address)
                self.static_of_nginx.add(address)
        elif re.match("/user/[^/]+/(static|lab/extensions)/", place.path):
            self.static_of_servers.add(place.path)

    def _watch(self, socket: WebSocket) -> None:
        if "/api/kernels/" in socket.url:
            self.open_kernel_sockets += 1
            socket.on("close", lambda one: self.closed_kernel_sockets.append(one.url))


def fetched_ahead(page: Page) -> set[str]:
    """Wait until this page of the hub has fetched all that it offers; the addresses of that."""
    addresses = page.evaluate("JSON.parse(document.getElementById('first-page').textContent)")
    page.wait_for_function(
        """addresses => {
            const fetched = performance.getEntriesByType("resource").map(one => new URL(one.name));
            const there = new Set(fetched.map(one => one.pathname + one.search));
            return addresses.every(one => there.has(one));
        }""",
        arg=addresses,
    )
    return set(addresses)
