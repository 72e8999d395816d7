"""A site to render, and the rendered text as nginx reads it."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Any

import crossplane  # type: ignore[import-untyped]

from hubagent.render.nginx import NginxSite, render_site

from .front import HOST, SITE_TEMPLATE

SITE = NginxSite(
    version=(1, 22, 1),
    host=HOST,
    certificate=PurePosixPath("/etc/ssl/hub/fullchain.pem"),
    key=PurePosixPath("/etc/ssl/hub/privkey.pem"),
    certificate_sha256="ab" * 32,
    self_signed=False,
    max_body_bytes=100 * 1024**2,
    websocket_drain_s=43200.0,
    marker="f00d",
    proxy_port=8000,
    acme_webroot=PurePosixPath("/var/lib/hubagent/acme"),
    ipv6=True,
)
BARE = replace(SITE, host=None, self_signed=True, acme_webroot=None, ipv6=False)


def with_field(name: str, value: object) -> NginxSite:
    """SITE with one field replaced, whatever its type."""
    changed: NginxSite = replace(SITE, **{name: value})  # type: ignore[arg-type]
    return changed


def render(site: NginxSite) -> str:
    return render_site(site, SITE_TEMPLATE).decode()


def parse(text: str) -> list[dict[str, Any]]:
    """Directives as nginx reads them: {directive, args, block}."""
    with tempfile.NamedTemporaryFile("w", suffix=".conf", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        parsed = crossplane.parse(file.name, single=True, check_ctx=False, strict=False)
    assert parsed["status"] == "ok", parsed["errors"]
    tree: list[dict[str, Any]] = parsed["config"][0]["parsed"]
    return tree


def walk(tree: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for directive in tree:
        yield directive
        yield from walk(directive.get("block", []))


def shape(tree: list[dict[str, Any]]) -> list[Any]:
    """Names and nesting, with the number of arguments, without their values."""
    return [(each["directive"], len(each["args"]), shape(each.get("block", []))) for each in tree]


def servers(tree: list[dict[str, Any]]) -> list[dict[str, list[list[str]]]]:
    """For each server block, the arguments of its directives by name."""
    found: list[dict[str, list[list[str]]]] = []
    for server in tree:
        if server["directive"] == "server":
            found.append({})
            for each in walk(server["block"]):
                found[-1].setdefault(each["directive"], []).append(each["args"])
    return found


def serving(tree: list[dict[str, Any]]) -> list[dict[str, list[list[str]]]]:
    """The server blocks that reach the proxy."""
    return [server for server in servers(tree) if "proxy_pass" in server]
