"""What the hub's pages let a browser fetch ahead: for whom, of which server, and that no page depends on it."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from browser import Browser
from conftest import choose_first_password
from running import server
from scene import UNCLOSED, Scene

pytestmark = UNCLOSED

OF_JULIA = [f"/hubagent-static/{'0' * 32}/static/lab/main.0123abcd.js?v=0123abcd"]
OF_R = [
    f"/hubagent-static/{'1' * 32}/static/lab/main.4567.js",
    f"/hubagent-static/{'2' * 32}/lab/extensions/@org/one/static/remoteEntry.89.js",
]
NOTEBOOK = [f"/hubagent-static/{'3' * 32}/static/notebook/main.89ab.js?v=89ab"]


@pytest.fixture(scope="module")
def admin(stage: Scene) -> Browser:
    return choose_first_password(stage.hub)


@pytest.fixture
def file(stage: Scene) -> Iterator[Path]:
    """As the agent writes it."""
    stage.edit(julia=server("julia"), r=server("r", image="hubagent/julia"))
    path = stage.hub.folder / "etc" / "first-pages.json"
    path.write_text(json.dumps({"version": 1, "servers": {"julia": OF_JULIA, "r": OF_R}}))
    yield path
    path.unlink(missing_ok=True)


def offered(browser: Browser, path: str) -> list[str]:
    """What this page has a browser fetch; it must be there, whatever that is."""
    page = browser.open(path)
    assert page.status == 200, page.html
    found = re.findall(r'<script type="application/json" id="first-page">(.*?)</script>', page.html, re.S)
    addresses = [] if not found else json.loads(found[0])
    assert (len(found) <= 1, isinstance(addresses, list)) == (True, True)
    assert len(re.findall(r"link\.rel = .prefetch.", page.html)) == len(found)
    return list(addresses)


def test_who_signs_in_gets_what_the_default_server_needs(stage: Scene, file: Path) -> None:
    assert offered(Browser(stage.hub.url), "/hub/login") == OF_JULIA


def test_who_is_not_signed_in_learns_of_no_extension(stage: Scene, file: Path) -> None:
    stage.edit(r=server("r", image="hubagent/julia"))
    assert offered(Browser(stage.hub.url), "/hub/login") == OF_R[:1]


def test_who_is_signed_in_gets_what_their_last_server_needs(stage: Scene, admin: Browser, file: Path) -> None:
    assert offered(admin, "/hub/home") == OF_JULIA
    stage.container("admin", {"server": "r"})
    stage.stop("admin")
    assert offered(admin, "/hub/home") == offered(admin, "/hub/spawn") == OF_R
    stage.edit(julia=server("julia"))
    assert offered(admin, "/hub/home") == OF_JULIA


def test_who_has_no_account_yet_gets_nothing(stage: Scene, file: Path) -> None:
    assert offered(Browser(stage.hub.url), "/hub/signup") == []


@pytest.mark.parametrize(
    "content",
    [
        None,
        b"",
        b"\xff{",
        b"[]",
        b'{"version": 2, "servers": {}}',
        b'{"version": 1}',
        b'{"version": 1, "servers": {"julia": "x"}}',
        b'{"version": 1, "servers": {"another": []}}',
    ],
)
def test_pages_are_whole_without_it(stage: Scene, admin: Browser, file: Path, content: bytes | None) -> None:
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    assert offered(Browser(stage.hub.url), "/hub/login") == offered(admin, "/hub/home") == []


def test_nothing_but_static_files_is_offered(stage: Scene, file: Path) -> None:
    strange = [
        "https://elsewhere.example/x.js",
        "//elsewhere.example/x.js",
        "/hub/logout",
        f"/hubagent-static/{'0' * 32}/../../hub/logout",
        f"/hubagent-static/{'0' * 32}/./static/lab/main.js",
        f"/hubagent-static/{'0' * 32}//elsewhere.example/x.js",
        f"/hubagent-static/{'0' * 32}/x.js?v=1&x=</script><script>alert(1)</script>",
        f"/hubagent-static/{'0' * 32}/x.js#</script>",
    ]
    file.write_text(json.dumps({"version": 1, "servers": {"julia": [*strange, *OF_JULIA]}}))
    page = Browser(stage.hub.url).open("/hub/login")
    assert "hub/logout" not in page.html.partition('id="first-page"')[2].partition("</script>")[0]
    assert "alert(1)" not in html.unescape(page.html)
    assert offered(Browser(stage.hub.url), "/hub/login") == OF_JULIA


def test_each_page_has_its_own_files_and_those_of_both(stage: Scene, admin: Browser, file: Path) -> None:
    stage.edit(r=server("r", image="hubagent/julia"))
    file.write_text(json.dumps({"version": 1, "servers": {"r": [*OF_R[:1], *NOTEBOOK, *OF_R[1:]]}}))
    try:
        for landing, bundle in (
            *(("/lab", OF_R[:1]), ("/lab/tree/a.ipynb", OF_R[:1]), ("/doc/tree/a.ipynb", OF_R[:1])),
            *(("/tree", NOTEBOOK), ("/tree?x=/lab", NOTEBOOK), ("/notebooks/a.ipynb", NOTEBOOK)),
            *(("/edit/a.py", NOTEBOOK), ("/trees", []), ("/", []), ("/pluto/", [])),
            *(("new-notebook", OF_R[:1]), ("last-notebook", OF_R[:1]), ("pluto", [])),
        ):
            stage.hub.servers["landing"] = landing
            stage.hub.write()
            assert offered(Browser(stage.hub.url), "/hub/login") == bundle, landing
            assert offered(admin, "/hub/home") == [*bundle, *(OF_R[1:] if bundle else [])], landing
    finally:
        stage.hub.servers["landing"] = "/lab"
        stage.hub.write()


def test_a_new_notebook_without_jupyterlab_is_notebooks_page(stage: Scene, file: Path) -> None:
    file.write_text(json.dumps({"version": 1, "servers": {"julia": NOTEBOOK}}))
    try:
        stage.hub.servers["landing"] = "new-notebook"
        stage.hub.write()
        assert offered(Browser(stage.hub.url), "/hub/login") == NOTEBOOK
    finally:
        stage.hub.servers["landing"] = "/lab"
        stage.hub.write()


def test_nothing_is_offered_where_people_land_elsewhere(stage: Scene, admin: Browser, file: Path) -> None:
    """Nor of an image that has no Notebook of which nginx has files."""
    stage.edit(r=server("r", image="hubagent/julia"))
    try:
        for landing in ("/tree", "/notebooks/a.ipynb", "/pluto/"):
            stage.hub.servers["landing"] = landing
            stage.hub.write()
            assert offered(Browser(stage.hub.url), "/hub/login") == offered(admin, "/hub/home") == []
    finally:
        stage.hub.servers["landing"] = "/lab"
        stage.hub.write()
