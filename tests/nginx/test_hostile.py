"""Values that nginx could take for something else: each is refused, or is one argument of one directive."""

from __future__ import annotations

from pathlib import PurePosixPath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubagent.errors import PreflightError
from hubagent.render.nginx import RenderError

from .reading import SITE, parse, render, servers, serving, shape, with_field

# Letters of nginx's grammar are far likelier here than in evenly drawn text.
PIECES = st.sampled_from(
    [
        ";",
        "}",
        "{",
        '"',
        "'",
        "\\",
        "$",
        "#",
        "\n",
        "\r",
        "\x00",
        "\t",
        " ",
        "..",
        "/",
        "$host",
        "${x}",
        "{{ 7 }}",
        "{% raw %}",
        "server",
        "listen 80",
        "x; } server { listen 1; location / { alias /etc/; } } server { server_name y",
        "\u2028",
        "é",
        "�",
        "-",
        ".",
        "A",
        "hub",
        "example",
        "1",
        "_",
        "*",
        "~^",
        "data:",
        "engine:",
        "x" * 300,
    ]
)
HOSTILE = st.one_of(st.lists(PIECES, max_size=8).map("".join), st.text(max_size=40))
PATHS = HOSTILE.map(lambda text: PurePosixPath("/" + text)) | HOSTILE.map(PurePosixPath)

PLACES = {  # field: directive of the serving block that must have exactly this value, and at which place
    "certificate": ("ssl_certificate", 0),
    "key": ("ssl_certificate_key", 0),
    "page": ("alias", 0),
    "access_log": ("access_log", 0),
}


@pytest.mark.parametrize("field", ["certificate", "key", "page", "access_log", "acme_webroot"])
@settings(max_examples=150, deadline=None)
@given(value=PATHS)
def test_hostile_paths(field: str, value: PurePosixPath) -> None:
    site = with_field(field, value)
    try:
        text = render(site)
    except RenderError:
        return
    tree = parse(text)
    assert shape(tree) == shape(parse(render(SITE)))
    if field in PLACES:
        directive, place = PLACES[field]
        (server,) = serving(tree)
        assert server[directive][0][place] == str(value)
    else:
        assert [str(value)] in [args for server in servers(tree) for args in server.get("root", [])]


@settings(max_examples=300, deadline=None)
@given(value=HOSTILE | st.from_regex(r"[a-z0-9.-]{1,300}", fullmatch=True))
def test_hostile_host(value: str) -> None:
    try:
        tree = parse(render(with_field("host", value)))
    except RenderError:
        return
    (server,) = serving(tree)
    assert server["server_name"] == [[value]]
    without_bucket = [each for each in tree if each["directive"] != "server_names_hash_bucket_size"]
    blocks = [each for each in without_bucket if each["directive"] != "#"]
    assert shape(blocks) == shape([each for each in parse(render(SITE)) if each["directive"] != "#"])


@pytest.mark.parametrize("field", ["marker", "certificate_sha256"])
@settings(max_examples=150, deadline=None)
@given(value=HOSTILE)
def test_hostile_words(field: str, value: str) -> None:
    try:
        tree = parse(render(with_field(field, value)))
    except RenderError:
        return
    assert shape(tree) == shape(parse(render(SITE)))
    if field == "marker":
        (server,) = serving(tree)
        assert ["200", value] in server["return"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("host", "Hub.example.org"),
        ("host", "hub.example.org."),
        ("host", ""),
        ("host", "192.0.2.1"),
        ("host", "hub_1.example.org"),
        ("host", "hub.example.org\n"),
        ("host", "a." * 130 + "org"),
        ("certificate", PurePosixPath("relative.crt")),
        ("certificate", "/a/string.crt"),
        ("key", PurePosixPath("/etc/../key")),
        ("key", PurePosixPath("/" + "x" * 1024)),
        ("certificate", PurePosixPath("/etc/ssl/$ssl_server_name.crt")),
        ("max_body_bytes", 0),
        ("max_body_bytes", True),
        ("max_body_bytes", 1.5),
        ("proxy_port", 0),
        ("https_port", 65536),
        ("websocket_drain_s", 0.0),
        ("websocket_drain_s", float("nan")),
        ("websocket_drain_s", float("inf")),
        ("websocket_drain_s", -1.0),
        ("certificate_sha256", "AB" * 32),
        ("marker", "f00d\n"),
    ],
)
def test_refused_with_value_and_remedy(field: str, value: object) -> None:
    with pytest.raises(PreflightError, match=r"^nginx: .* cannot be used as .*: .+"):
        render(with_field(field, value))
