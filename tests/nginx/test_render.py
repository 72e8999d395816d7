"""The rendered text: golden files, versions, what nginx's own parser says, and hostile values."""

from __future__ import annotations

import os
from dataclasses import fields, replace
from pathlib import Path, PurePosixPath

import pytest
from jinja2 import Environment, nodes

from hubagent.render.nginx import (
    FILTERS,
    UNHASHED_NAME,
    NginxSite,
    RenderError,
    Version,
    marker_of,
    parse_versions,
    render_main,
)

from .front import HOST, MAIN_TEMPLATE, SITE_TEMPLATE, Front, Pair, site_in
from .reading import BARE, SITE, parse, render, walk, with_field

GOLDEN = Path(__file__).parent / "golden"
UPDATE = "HUBAGENT_UPDATE_GOLDEN" in os.environ


@pytest.mark.parametrize("site", [SITE, BARE], ids=["host", "any-name"])
@pytest.mark.parametrize(
    ("version", "openssl"), [((1, 22, 1), (3, 0, 19)), ((1, 26, 3), (3, 5, 4)), ((1, 27, 4), (3, 5, 4))]
)
def test_golden(site: NginxSite, version: Version, openssl: Version, request: pytest.FixtureRequest) -> None:
    """`HUBAGENT_UPDATE_GOLDEN=1 python -m pytest tests/nginx` writes them anew; then read the difference."""
    site = replace(site, version=version, openssl=openssl)
    golden = GOLDEN / f"{'.'.join(map(str, version))}-{'any-name' if site.host is None else 'host'}.conf"
    if UPDATE:
        golden.parent.mkdir(exist_ok=True)
        golden.write_text(render(site))
    assert render(site) == golden.read_text()


def test_every_placeholder_has_a_filter_of_ours() -> None:
    assert bare_placeholders(SITE_TEMPLATE) == []
    assert bare_placeholders(MAIN_TEMPLATE) == []


@pytest.mark.parametrize(
    "source",
    ["{{ site.host }}", "{{ site.host | upper }}", "{{ site.host | host ~ site.key }}", "{{ site.f() }}"],
)
def test_the_check_of_placeholders_sees(source: str) -> None:
    assert bare_placeholders(source) != []


def bare_placeholders(source: str) -> list[str]:
    environment = Environment()
    environment.filters.update(FILTERS)
    tree = environment.parse(source)
    macros = {macro.name for macro in tree.find_all(nodes.Macro)}

    def is_safe(node: nodes.Node) -> bool:
        match node:
            case nodes.TemplateData():
                return True
            case nodes.Filter(name=name):
                return name in FILTERS
            case nodes.Call(node=nodes.Name(name=name)):
                return name in macros
        return False

    placeholders = [node for output in tree.find_all(nodes.Output) for node in output.nodes]
    return [f"line {node.lineno}: {node}" for node in placeholders if not is_safe(node)]


def test_an_if_holds_nothing_but_what_is_meant_to_stand_there() -> None:
    """`gzip` (ngx_http_gzip_module says so) and `return`; others are dropped, or do something else."""
    conditions = [one for one in walk(parse(render(SITE))) if one["directive"] == "if"]
    assert len(conditions) >= 5
    assert {inner["directive"] for one in conditions for inner in one["block"]} <= {"gzip", "return"}


def test_http2_is_written_as_the_version_has_it() -> None:
    old, new = (render(replace(SITE, version=version)) for version in ((1, 25, 0), (1, 25, 1)))
    assert "listen 443 ssl http2;" in old
    assert "http2 on;" not in old
    assert "listen 443 ssl;" in new
    assert new.count("http2 on;") == 2


def test_keepalive_min_timeout_only_where_nginx_has_it() -> None:
    assert "keepalive_min_timeout" not in render(replace(SITE, version=(1, 27, 3)))
    assert "keepalive_min_timeout" in render(replace(SITE, version=(1, 27, 4)))


def test_post_quantum_key_exchange_only_where_openssl_has_it() -> None:
    assert "MLKEM" not in render(replace(SITE, openssl=(3, 4, 9)))
    assert "X25519MLKEM768" in render(replace(SITE, openssl=(3, 5, 0)))


def test_an_nginx_that_is_too_old_is_named() -> None:
    with pytest.raises(RenderError, match=r"nginx 1\.18\.0 is too old: upgrade it to 1\.19\.4"):
        render(replace(SITE, version=(1, 18, 0)))


@pytest.mark.parametrize(
    ("site", "told"),
    [(SITE, True), (replace(SITE, self_signed=True), False), (replace(SITE, host=None), False)],
    ids=["trusted", "self-signed", "any-name"],
)
def test_strict_transport_security_only_for_a_trusted_name(site: NginxSite, *, told: bool) -> None:
    assert ("Strict-Transport-Security" in render(site)) is told


def test_every_input_that_matters_changes_the_marker() -> None:
    others = {
        "version": (1, 27, 4),
        "host": "other.example.org",
        "certificate": PurePosixPath("/etc/ssl/other.crt"),
        "key": PurePosixPath("/etc/ssl/other.key"),
        "certificate_sha256": "cd" * 32,
        "self_signed": True,
        "max_body_bytes": 1,
        "websocket_drain_s": 1.0,
        "proxy_port": 1,
        "acme_webroot": None,
        "ipv6": False,
        "openssl": (3, 5, 0),
        "http_port": 81,
        "https_port": 444,
        "page": PurePosixPath("/srv/page.html"),
        "access_log": PurePosixPath("/var/log/other.log"),
        "static_sets": PurePosixPath("/srv/static"),
        "hub_share": PurePosixPath("/srv/jupyterhub"),
    }
    assert {field.name for field in fields(NginxSite)} == {"marker", *others}
    for name, value in others.items():
        changed = with_field(name, value)
        assert marker_of(changed, SITE_TEMPLATE) != marker_of(SITE, SITE_TEMPLATE), name


def test_the_marker_does_not_depend_on_the_marker() -> None:
    assert marker_of(SITE, SITE_TEMPLATE) == marker_of(replace(SITE, marker="other"), SITE_TEMPLATE)


@pytest.mark.parametrize(
    ("seconds", "text"), [(43200.0, "43200s"), (0.25, "250ms"), (1, "1s"), (1.5, "1500ms")]
)
def test_websocket_drain(seconds: float, text: str) -> None:
    main = render_main(replace(SITE, websocket_drain_s=seconds), MAIN_TEMPLATE).decode()
    assert [(each["directive"], each["args"]) for each in walk(parse(main)) if each["directive"] != "#"] == [
        ("worker_shutdown_timeout", [text])
    ]


@pytest.mark.parametrize(
    ("text", "nginx", "openssl"),
    [
        ("nginx version: nginx/1.22.1\nbuilt with OpenSSL 3.0.8 7 Feb 2023\n", (1, 22, 1), (3, 0, 8)),
        (
            "nginx version: nginx/1.26.3\n"
            "built with OpenSSL 3.4.1 11 Feb 2025 (running with OpenSSL 3.5.4 30 Sep 2025)\n",
            (1, 26, 3),
            (3, 5, 4),
        ),
        ("nginx version: nginx/1.28.0 (Ubuntu)\nbuilt with LibreSSL 4.0.0\n", (1, 28, 0), (0, 0, 0)),
    ],
)
def test_parse_versions(text: str, nginx: Version, openssl: Version) -> None:
    assert parse_versions(text) == (nginx, openssl)


def test_parse_versions_of_something_else() -> None:
    with pytest.raises(RenderError, match="names no version"):
        parse_versions("command not found")


def test_a_site_that_nginx_reads(front: Front, pair: Pair) -> None:
    for host in (HOST, None, "a" * UNHASHED_NAME, "a" * (UNHASHED_NAME + 1), ".".join(["a" * 62] * 4)):
        front.put(replace(site_in(front, pair, 8000), host=host))
        tested = front.test()
        assert tested.returncode == 0, tested.stderr
        assert "warn" not in tested.stderr


def test_a_name_just_too_long_for_the_default_needs_the_directive(front: Front, pair: Pair) -> None:
    """Shows that UNHASHED_NAME is nginx's limit, not a guess."""
    site = replace(site_in(front, pair, 8000), host="a" * (UNHASHED_NAME + 1))
    front.put(site)
    file = front.folder / "conf.d/hubagent.conf"
    file.write_text(file.read_text().replace("server_names_hash_bucket_size", "#"))
    assert "server_names_hash_bucket_size" in front.test().stderr
