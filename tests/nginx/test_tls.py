"""TLS as Mozilla's intermediate guideline wants it, judged by openssl, sslyze and gixy."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from .front import HOST, Pair
from .stack import Stack


def handshake(stack: Stack, *options: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [
            "openssl",
            "s_client",
            "-connect",
            f"127.0.0.1:{stack.site.https_port}",
            "-servername",
            HOST,
            *options,
        ],
        input="",
        capture_output=True,
        text=True,
        errors="replace",  # HTTP/2 speaks first, in bytes
        check=False,
    )


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_current_versions(stack: Stack, version: str) -> None:
    assert handshake(stack, version).returncode == 0


@pytest.mark.parametrize("version", ["-tls1", "-tls1_1"])
def test_old_versions_are_refused_by_the_server(stack: Stack, version: str) -> None:
    """At security level 0 the client would; the alert shows that it asked and the server refused."""
    refused = handshake(stack, version, "-cipher", "ALL:@SECLEVEL=0")
    assert refused.returncode != 0
    assert "alert protocol version" in refused.stderr


@pytest.mark.parametrize(
    "suite",
    ["ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-RSA-CHACHA20-POLY1305"],
)
def test_suites_of_the_guideline(stack: Stack, suite: str) -> None:
    assert f"Cipher is {suite}" in handshake(stack, "-tls1_2", "-cipher", suite).stdout


@pytest.mark.parametrize(
    "suite",
    [
        "AES128-GCM-SHA256",
        "AES128-SHA",
        "ECDHE-RSA-AES128-SHA256",
        "DHE-RSA-AES128-GCM-SHA256",
        "CAMELLIA128-SHA",
    ],
)
def test_other_suites_are_refused_by_the_server(stack: Stack, suite: str) -> None:
    refused = handshake(stack, "-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0")
    assert refused.returncode != 0
    assert "alert handshake failure" in refused.stderr


def test_other_curves_are_refused_by_the_server(stack: Stack) -> None:
    assert handshake(stack, "-curves", "X25519").returncode == 0
    refused = handshake(stack, "-curves", "P-521")
    assert refused.returncode != 0
    assert "alert handshake failure" in refused.stderr


@pytest.mark.parametrize(("offered", "chosen"), [("h2,http/1.1", "h2"), ("http/1.1", "http/1.1")])
def test_protocol_negotiation(stack: Stack, offered: str, chosen: str) -> None:
    assert f"ALPN protocol: {chosen}" in handshake(stack, "-alpn", offered).stdout


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_sessions_are_resumed_from_the_shared_cache(stack: Stack, version: str, tmp_path: Path) -> None:
    """The whole site goes through one more server block when `host` is set; resumption must survive that."""
    request = f"GET /metrics HTTP/1.1\r\nHost: {HOST}\r\nConnection: close\r\n\r\n"
    command = [
        "openssl",
        "s_client",
        "-connect",
        f"127.0.0.1:{stack.site.https_port}",
        "-servername",
        HOST,
        version,
    ]
    session = str(tmp_path / "session")
    for option, said in (("-sess_out", "New"), ("-sess_in", "Reused")):
        talk = subprocess.run(
            [*command, "-ign_eof", option, session], input=request, capture_output=True, text=True, check=True
        )
        assert f"\n{said}, " in talk.stdout


def test_mozilla_intermediate_by_sslyze(stack: Stack, pair: Pair, tools: Path) -> None:
    """sslyze knows guideline 5.7, whose intermediate suites include all of 6.0's."""
    address = f"127.0.0.1:{stack.site.https_port}"
    judged = subprocess.run(
        [
            tools / "sslyze",
            "--mozilla_config=intermediate",
            f"--sni={HOST}",
            f"--certinfo_ca_file={pair.authority}",
            address,
        ],
        capture_output=True,
        text=True,
        check=False,
    )
    assert f"{address}: OK - Compliant." in judged.stdout, judged.stdout[-3000:]
    assert judged.returncode == 0


def test_nothing_found_by_gixy(stack: Stack, tools: Path, tmp_path: Path) -> None:
    """Of hubagent's two files alone: Debian's nginx.conf around them has findings of its own."""
    config = tmp_path / "nginx.conf"
    main, site = (
        stack.front.folder / name for name in ("modules-enabled/90-hubagent.conf", "conf.d/hubagent.conf")
    )
    config.write_text(
        "worker_rlimit_nofile 4096;\nevents {\n    worker_connections 768;\n}\n"
        f"include {main};\nhttp {{\n    include {site};\n}}\n"
    )
    # For a wrong Host under the right server name it wants 421; hubagent's promise is 444, no answer at all. What stands
    # in an `if` is held to the two directives that are meant to: see test_render.py.
    judged = subprocess.run(
        [tools / "gixy", "--skips=http2_misdirected_request,if_is_evil", config],
        capture_output=True,
        text=True,
        check=False,
    )
    assert "No issues found" in judged.stdout, judged.stdout
    assert judged.returncode == 0


def test_the_certificate_is_the_configured_one(stack: Stack) -> None:
    shown = handshake(stack).stdout
    assert f"subject=CN = {HOST}" in shown
