"""While the hub or the proxy is away: people get a page that waits, programs get plain answers."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import expect, sync_playwright

from tests.browser.chromium import FLAGS, installed
from tests.waiting import DEADLINE_S

from .front import HOST, TEMPLATES
from .stack import Stack


@pytest.fixture
def no_hub(stack: Stack) -> Iterator[Stack]:
    stack.hub.down()
    yield stack
    stack.hub.up()


@pytest.fixture
def no_proxy(stack: Stack) -> Iterator[Stack]:
    stack.proxy.stop()
    yield stack
    stack.proxy.start()


@pytest.mark.parametrize("path", ["/", "/hub/", "/hub/login?next=/hub/", "/hub/spawn"])
@pytest.mark.parametrize("away", ["no_hub", "no_proxy"])
def test_people_get_a_friendly_page_while_the_hub_is_away(
    stack: Stack, path: str, away: str, request: pytest.FixtureRequest
) -> None:
    request.getfixturevalue(away)
    for method in ("GET", "POST"):
        answer = stack.get(path, method=method, body=b"" if method == "POST" else None)
        assert answer.status == 503
        assert answer.headers["retry-after"] == "5"
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-type"] == "text/html; charset=utf-8"
        assert answer.headers["strict-transport-security"] == "max-age=63072000"
        assert b"<h1>The hub will be back in a moment</h1>" in answer.body


@pytest.mark.parametrize("path", ["/hub/api/users", "/hub/api/users/ann/server/progress", "/hub/api/"])
def test_programs_get_no_page(no_hub: Stack, path: str) -> None:
    answer = no_hub.get(path)
    assert answer.status == 503
    assert b"<h1>The hub" not in answer.body


def test_users_servers_go_on_without_the_hub(no_hub: Stack) -> None:
    assert no_hub.seen("/user/ann/lab")["by"] == "user"


def test_answers_of_users_servers_are_never_replaced(stack: Stack) -> None:
    for status in (500, 502, 503, 504):
        answer = stack.get(f"/user/ann/status/{status}")
        assert (answer.status, json.loads(answer.body)) == (status, {"by": "user"})


def test_errors_of_a_living_hub_are_its_own(stack: Stack) -> None:
    for status in (403, 404, 429, 500):
        answer = stack.get(f"/hub/status/{status}")
        assert (answer.status, json.loads(answer.body)) == (status, {"by": "hub"})
    answer = stack.get("/hub/api/status/503")
    assert (answer.status, json.loads(answer.body)) == (503, {"by": "hub"})


def test_without_the_proxy_a_user_request_is_a_bad_gateway(no_proxy: Stack) -> None:
    """JupyterLab takes 503 for "your server has stopped" and offers to start one, so 502 must stay 502."""
    assert no_proxy.get("/user/ann/api/status").status == 502


def test_the_page_allows_exactly_its_own_script_and_style() -> None:
    """After an edit of the page: put the digests that this prints into its Content-Security-Policy."""
    page = (TEMPLATES / "hub-restarting.html").read_text()
    (policy,) = re.findall(r'Content-Security-Policy" content="([^"]*)"', page)
    for kind in ("script", "style"):
        (content,) = re.findall(rf"<{kind}>(.*?)</{kind}>", page, re.DOTALL)
        digest = base64.b64encode(hashlib.sha256(content.encode()).digest()).decode()
        assert f"{kind}-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'; connect-src 'self'")


def test_the_page_is_self_contained() -> None:
    page = (TEMPLATES / "hub-restarting.html").read_text()
    assert re.findall(r"(?:src|href)=\"([^\"]+)\"|url\(|https?://|@import", page) == []


def test_the_page_waits_and_then_goes_on(stack: Stack) -> None:
    """In a real browser: its policy lets its script run, and the page leaves when the hub is back."""
    rules = f"--host-resolver-rules=MAP {HOST} 127.0.0.1"
    address = f"https://{HOST}:{stack.site.https_port}/hub/login?next=%2Fhub%2Fspawn"
    expect.set_options(timeout=DEADLINE_S * 1000)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=installed(), args=[rules, *FLAGS], chromium_sandbox=False
        )
        page = browser.new_page(ignore_https_errors=True)
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        stack.hub.down()
        try:
            page.goto(address)
            expect(page.get_by_role("heading")).to_have_text("The hub will be back in a moment")
            expect(page.get_by_role("status")).to_have_text("This page goes on by itself.")
            expect(page.locator("main")).to_have_css("max-width", "496px")  # its style is allowed, too
        finally:
            stack.hub.up()
        expect(page.locator("body")).to_contain_text('"target": "/hub/login?next=%2Fhub%2Fspawn"')
        assert page.url == address
        browser.close()
    assert [text for text in complaints if "Content Security Policy" in text] == []
