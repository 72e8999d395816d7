"""What nginx compresses on its way, for whom, and the hub's static files."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from .stack import Stack
from .upstream import ASSET, FOR_LONG, KINDS

LONG = {"X-Long": "x" * 2000}
"""The servers of these tests send back what they are sent."""

STYLE = b".btn { color: red }\n" * 200


@pytest.mark.parametrize("path", ["/user/ann/api/kernelspecs", "/hub/home", "/services/announcement/all"])
@pytest.mark.parametrize(
    ("by", "is_compressed"),
    [
        ("same-origin", True),
        ("none", True),
        ("same-site", False),
        ("cross-site", False),
        ("same-origin, cross-site", False),
        (None, False),
    ],
)
def test_only_what_a_page_of_this_site_asks_for(
    stack: Stack, path: str, by: str | None, *, is_compressed: bool
) -> None:
    """By the length of what another site makes a browser ask for, that site could guess what is in it."""
    headers = {**LONG, "Accept-Encoding": "gzip"} | ({} if by is None else {"Sec-Fetch-Site": by})
    answer = stack.get(path, headers=headers)
    assert (answer.headers.get("content-encoding") == "gzip") is is_compressed
    body = gzip.decompress(answer.body) if is_compressed else answer.body
    assert dict(json.loads(body)["headers"])["x-long"] == LONG["X-Long"]
    assert answer.headers["strict-transport-security"] == "max-age=63072000"


@pytest.mark.parametrize("ending", KINDS)
def test_the_files_of_a_pluto_are_compressed_and_kept_by_browsers(stack: Stack, ending: str) -> None:
    """nginx has them from no image: this is all that makes its second page a quick one."""
    path = f"/user/ann/pluto/asset/editor.2d3393ce.{ending}"
    answer = stack.get(path, headers={"Accept-Encoding": "gzip", "Sec-Fetch-Site": "same-origin"})
    assert answer.headers["content-encoding"] == "gzip"
    assert gzip.decompress(answer.body) == ASSET
    assert answer.headers["cache-control"] == FOR_LONG


def test_a_browser_that_takes_nothing_compressed(stack: Stack) -> None:
    answer = stack.get("/user/ann/api/kernelspecs", headers={**LONG, "Sec-Fetch-Site": "same-origin"})
    assert "content-encoding" not in answer.headers


@pytest.fixture
def share(stack: Stack) -> Iterator[Path]:
    """What JupyterHub brings along, and beside it what is none of a browser's business."""
    folder = stack.front.folder / "share"
    (folder / "static/css").mkdir(parents=True, exist_ok=True)
    (folder / "static/css/style.min.css").write_bytes(STYLE)
    (folder / "templates").mkdir(exist_ok=True)
    (folder / "templates/login.html").write_text("{{ secret }}")
    return folder


def test_the_hubs_static_files_come_from_nginx(stack: Stack, share: Path) -> None:
    answer = stack.get("/hub/static/css/style.min.css?v=0123", headers={"Accept-Encoding": "gzip"})
    assert (answer.status, gzip.decompress(answer.body)) == (200, STYLE)
    assert answer.headers["content-type"].startswith("text/css")
    assert answer.headers["cache-control"] == "max-age=31536000"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["strict-transport-security"] == "max-age=63072000"
    assert answer.headers["etag"]


def test_without_a_version_browsers_ask_again(stack: Stack, share: Path) -> None:
    answer = stack.get("/hub/static/css/style.min.css")
    assert (answer.status, answer.body) == (200, STYLE)
    assert answer.headers["cache-control"] == "no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/hub/static/of-a-plugin.js?v=1&x=%2F",
        "/hub/static/css",
        "/hub/static/",
        "/hub/static/%2e%2e%2ftemplates/login.html",
        "/hub/static/css%2fstyle%20.css",
    ],
)
def test_what_is_not_there_is_the_hubs(stack: Stack, share: Path, path: str) -> None:
    seen = stack.seen(path)
    assert (seen["by"], seen["target"]) == ("hub", path)


def test_a_hub_that_is_away_has_its_static_files(stack: Stack, share: Path) -> None:
    stack.hub.down()
    try:
        assert stack.get("/hub/static/css/style.min.css").body == STYLE
        missing = stack.get("/hub/static/of-a-plugin.js")
        assert missing.status == 503
        assert b"<html" in missing.body
    finally:
        stack.hub.up()


def test_without_a_trusted_certificate_nobody_is_told_to_insist_on_one(stack: Stack, share: Path) -> None:
    stack.front.switch(replace(stack.site, self_signed=True))
    try:
        answer = stack.get("/hub/static/css/style.min.css")
        assert "strict-transport-security" not in answer.headers
    finally:
        stack.front.switch(stack.site)
