"""Static files of images, as a browser gets them: nginx's own answers, and what it leaves to users' servers."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from pathlib import Path

import brotli
import pytest

from hubagent.adapters.files.static_sets import LocalSets
from hubagent.images.static_folder import COMPRESSED, SET_FILE, STORED, Folder
from hubagent.images.static_ports import Entry

from .stack import Stack

SCRIPT = b"console.log('a bundle');\n" * 100
FILES: Mapping[str, bytes] = {
    "main.0123456789abcdef.js": SCRIPT,
    "style.css": b".jp-Notebook { color: red }\n" * 40,
    "a76d53bf993d73a2.svg": b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>",
    "0031b1860ea4ad75.woff2": b"a font",
    "worker.js": b"self.postMessage(1)",
    "deep/er/1.css": b"p {}",
}
DECODERS: Mapping[str | None, Callable[[bytes], bytes]] = {
    None: bytes,
    "gzip": gzip.decompress,
    "br": brotli.decompress,
}
NOWHERE = "f" * 32


def publish(folder: Path, files: Mapping[str, bytes], path: str = "static/lab") -> str:
    """The name of the set that the agent would make of these files."""
    sets = LocalSets(folder)
    sets.sweep()
    writer = sets.begin()
    taking = Folder(path, writer)
    for name, content in files.items():
        taking.add(
            name,
            Entry(
                name,
                is_file=True,
                is_folder=False,
                size_bytes=len(content),
                read=lambda content=content: content,
            ),
        )
    name, _ = taking.publish()
    writer.discard()
    return name


@pytest.fixture(scope="module")
def base(stack: Stack) -> str:
    """The address of a set's folder."""
    return f"/hubagent-static/{publish(stack.front.folder / 'static', FILES)}/static/lab"


def test_a_file_comes_from_nginx_for_ever(stack: Stack, base: str) -> None:
    answer = stack.get(f"{base}/main.0123456789abcdef.js?v=0123456789abcdef")
    assert (answer.status, answer.body) == (200, SCRIPT)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cross-origin-resource-policy"] == "same-origin"
    assert answer.headers["strict-transport-security"] == "max-age=63072000"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert "content-encoding" not in answer.headers
    assert "set-cookie" not in answer.headers


@pytest.mark.parametrize(
    ("said", "coding"),
    [
        ("gzip, deflate, zstd", "gzip"),
        ("GZIP;q=0.5", "gzip"),
        ("gzip, deflate, br, zstd", "br"),
        ("br", "br"),
        ("br;q=0, gzip", "gzip"),
        ("gzip;q=0", None),
        ("x-gzip, xbr", None),
    ],
)
@pytest.mark.parametrize("via", [{}, {"Via": "1.1 proxy.of-the-site.example"}], ids=["direct", "by-a-proxy"])
def test_it_is_sent_as_it_was_compressed_ahead(
    stack: Stack, base: str, said: str, via: dict[str, str], coding: str | None
) -> None:
    answer = stack.get(f"{base}/main.0123456789abcdef.js", headers={"Accept-Encoding": said, **via})
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    assert answer.headers["vary"] == "Accept-Encoding"
    assert answer.headers.get("content-encoding") == coding
    assert DECODERS[coding](answer.body) == SCRIPT


def test_a_browser_that_has_it_gets_nothing(stack: Stack, base: str) -> None:
    path = f"{base}/main.0123456789abcdef.js"
    for accept in ("gzip", "identity"):
        tag = stack.get(path, headers={"Accept-Encoding": accept}).headers["etag"]
        again = stack.get(path, headers={"Accept-Encoding": accept, "If-None-Match": tag})
        assert (again.status, again.body) == (304, b"")


def test_the_etag_is_the_same_on_another_machine(stack: Stack, base: str, tmp_path: Path) -> None:
    name = publish(tmp_path / "static", FILES)
    assert name == base.split("/")[2]
    theirs = tmp_path / "static" / name / "plain/static/lab/main.0123456789abcdef.js"
    ours = stack.front.folder / "static" / name / "plain/static/lab/main.0123456789abcdef.js"
    assert theirs.stat().st_mtime_ns == ours.stat().st_mtime_ns


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("style.css", "text/css; charset=utf-8"),
        ("a76d53bf993d73a2.svg", "image/svg+xml; charset=utf-8"),
        ("0031b1860ea4ad75.woff2", "font/woff2"),
        ("deep/er/1.css", "text/css; charset=utf-8"),
    ],
)
def test_what_could_be_opened_as_a_document_is_in_a_sandbox(
    stack: Stack, base: str, name: str, kind: str
) -> None:
    answer = stack.get(f"{base}/{name}")
    assert (answer.status, answer.headers["content-type"]) == (200, kind)
    assert answer.headers["content-security-policy"].endswith("frame-ancestors 'none'; sandbox")


def test_a_script_may_be_a_workers(stack: Stack, base: str) -> None:
    """A sandbox in a worker's own policy would stop it (CSP 3, 6.3.2)."""
    answer = stack.get(f"{base}/worker.js")
    assert answer.headers["content-security-policy"] == "frame-ancestors 'none'"


def test_every_kind_that_is_taken_has_a_type(stack: Stack) -> None:
    files = {f"a.{ending}": b"x" for ending in COMPRESSED | STORED}
    base = f"/hubagent-static/{publish(stack.front.folder / 'static', files)}/static/lab"
    kinds = {name: stack.get(f"{base}/{name}").headers["content-type"] for name in files}
    assert "application/octet-stream" not in kinds.values()
    assert not [kind for kind in kinds.values() if "html" in kind]


@pytest.mark.parametrize(
    ("page", "server"),
    [
        ("/user/ann/lab", "/user/ann"),
        ("/user/ann/lab/tree/a%20b.ipynb?x=/user/bob/lab", "/user/ann"),
        ("/user/ann/tree", "/user/ann"),
        ("/user/ann%40example.org/notebooks/a.ipynb", "/user/ann%40example.org"),
        ("/user/ann/course/lab/workspaces/auto-k", "/user/ann/course"),
        ("/user/ann/doc/tree/a.ipynb", "/user/ann"),
    ],
)
def test_what_is_not_there_the_asking_server_has(stack: Stack, base: str, page: str, server: str) -> None:
    name = base.split("/")[2]
    for below in (
        f"{NOWHERE}/static/lab/x.js",
        f"{name}/static/lab/index.html",
        f"{name}/lab/extensions/@a/b/static/x.js",
    ):
        referer = f"https://{stack.site.host}:{stack.site.https_port}{page}"
        answer = stack.get(f"/hubagent-static/{below}?v=1", headers={"Referer": referer})
        assert (answer.status, answer.headers["location"]) == (302, f"{server}/{below.partition('/')[2]}")
        assert answer.headers["cache-control"] == "no-store"
        assert stack.seen(answer.headers["location"])["by"] == "user"


@pytest.mark.parametrize(
    "referer",
    [
        None,
        "",
        "https://evil.example/",
        "https://hub.example.org/hub/home",
        "https://hub.example.org/user/ann/files/lab.html",
        "javascript:/user/ann/lab",
        "https://x/user/ann/lab|/hubagent-static/y",
    ],
)
def test_what_nobody_known_asks_for_is_not_found(stack: Stack, base: str, referer: str | None) -> None:
    headers = {} if referer is None else {"Referer": referer}
    answer = stack.get(f"/hubagent-static/{NOWHERE}/static/lab/x.js", headers=headers)
    assert (answer.status, answer.headers["cache-control"]) == (404, "no-store")


@pytest.mark.parametrize(
    "path",
    [
        *("/hubagent-static/", "/hubagent-static/x", "/hubagent-static/{set}", "/hubagent-static/{set}/"),
        *("/hubagent-static/{set}/static/lab", "/hubagent-static/{set}/static/lab/"),
        *("/hubagent-static/{set}/static/lab/x%00.js", "/hubagent-static/{set}/static/lab/worker.js/x"),
        *("/hubagent-static/{set}/../{set}/../../conf.d", "/hubagent-static/{set}/gzip/static/lab/worker.js"),
        *("/hubagent-static/{set}/%2e%2e/%2e%2e/nginx.conf", "/hubagent-static/{set}/..%2fset.json"),
        "/hubagent-static/{set}/static/lab/main.0123456789abcdef.js.gz",
    ],
)
def test_a_path_that_is_no_file_of_a_set(stack: Stack, base: str, path: str) -> None:
    """Answered by nginx itself, or, where the path leads out of here, as it would be anyway."""
    answer = stack.get(path.replace("{set}", base.split("/")[2]))
    left = b'"by": "hub"' in answer.body
    assert left or answer.status in {400, 404}
    assert b"worker_processes" not in answer.body


def test_nothing_can_be_sent_there(stack: Stack, base: str) -> None:
    assert stack.get(f"{base}/worker.js", method="POST", body=b"x").status == 405
    assert stack.get(f"{base}/worker.js", method="PUT", body=b"x").status == 405


def test_what_the_agent_asks_for_is_there(stack: Stack, base: str) -> None:
    answer = stack.get(f"/hubagent-static/{base.split('/')[2]}/{SET_FILE}")
    assert (answer.status, answer.headers["content-type"]) == (200, "application/json; charset=utf-8")
