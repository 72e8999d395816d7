"""Requests that no client should make, through nginx and configurable-http-proxy: each is refused as such, and none is
answered as a failure of ours."""

from __future__ import annotations

import http.client
import itertools
import json
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager

import pytest

from .client import context
from .front import HOST
from .stack import Stack
from .upstream import PROXY

PLACES = ("/", "/hub/", "/hub/api/", "/hub/api/users/", "/user/", "/user/ann/", "/services/", "/other/")
"""One for each location that leads to the proxy."""

UPGRADE = {"Connection": "Upgrade", "Upgrade": "websocket"}


def node(expression: str, given: object = None) -> object:
    """What the proxy's own runtime makes of an expression, in which `given` is this value."""
    program = f"const given = JSON.parse(process.argv[1]); console.log(JSON.stringify({expression}))"
    said = subprocess.run(
        [PROXY / "node", "-e", program, json.dumps(given)], capture_output=True, text=True, check=True
    )
    value: object = json.loads(said.stdout)
    return value


@contextmanager
def connection_to(stack: Stack) -> Iterator[http.client.HTTPConnection]:
    with closing(http.client.HTTPConnection("127.0.0.1", stack.site.https_port, timeout=20)) as connection:
        connection.connect()
        connection.sock = context().wrap_socket(connection.sock, server_hostname=HOST)
        yield connection


def statuses(stack: Stack, paths: list[str]) -> list[int]:
    """Of all these, over one connection of HTTP/2, which a refusal does not end."""
    origin = f"https://{HOST}:{stack.site.https_port}"
    wanted = "".join(f'url = "{origin}{path}"\noutput = /dev/null\n' for path in paths)
    fetched = subprocess.run(
        ["curl", "-sk", "--http2", "--globoff", "--path-as-is", "--resolve", f"{HOST}:{stack.site.https_port}:127.0.0.1",
         "-w", "%{http_code}\n", "-K", "-"],
        input=wanted,
        capture_output=True,
        text=True,
        check=True,
    )  # fmt: skip
    return list(map(int, fetched.stdout.split()))


def status_line(stack: Stack, request: bytes) -> str:
    """The first line of the answer to these bytes."""
    with (
        socket.create_connection(("127.0.0.1", stack.site.https_port), timeout=20) as plain,
        context().wrap_socket(plain, server_hostname=HOST) as connection,
    ):
        connection.sendall(request)
        return connection.makefile("rb").readline().decode().strip()


@pytest.mark.parametrize("place", PLACES)
def test_names_of_any_script_arrive_as_they_were_sent(stack: Stack, place: str) -> None:
    for name in (
        "%C3%9C", "%c3%bc", "%E6%97%A5%E6%9C%AC", "%F0%9F%98%80", "a%20b", "a+b", "a%2Fb", "%25ff", "%7f%5C", "%EF%BF%BF"
    ):  # fmt: skip
        assert stack.seen(f"{place}{name}?x=%ff")["target"] == f"{place}{name}?x=%ff"


@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_text_is_refused(stack: Stack, place: str) -> None:
    texts = (
        "%ff",
        "%c3%28",
        "%c3",
        "%C3%zz",
        "%zz",
        "%",
        "%c0%80",
        "%ed%a0%80",
        "%f4%90%80%80",
        "%f8%88%80%80%80",
    )
    paths = [path for text in texts for path in (place + text, f"{place}x/{text}/lab?x=1")]
    assert dict(zip(paths, statuses(stack, paths), strict=True)) == dict.fromkeys(paths, 400)


def test_a_name_as_long_as_a_request_line_may_be(stack: Stack) -> None:
    path = "/user/ann/" + "%F0%9F%98%80" * 650
    assert stack.seen(path)["target"] == path
    assert stack.get(f"{path}%ff").status == 400


def test_nginx_takes_for_text_what_the_proxy_takes_for_text(stack: Stack) -> None:
    """At every border of UTF-8 (RFC 3629, 4), in sequences of one to four bytes."""
    first = (0x41, 0x7F, 0x80, 0xBF, 0xC0, 0xC1, 0xC2, 0xDF, 0xE0, 0xE1, 0xEC, 0xED, 0xEE, 0xEF, 0xF0, 0xF1, 0xF3, 0xF4,
             0xF5, 0xFF)  # fmt: skip
    second = (0x7F, 0x80, 0x8F, 0x90, 0x9F, 0xA0, 0xBF, 0xC0)
    sequences = [(byte,) for byte in first] + [
        (*begin, *rest)
        for begin in itertools.product(first, second)
        for rest in ((), (0x80,), (0xBF, 0x80), (0x80, 0xC0))
    ]
    names = ["".join(f"%{byte:02X}" for byte in sequence) for sequence in sequences]
    decoded = "given.map(name => { try { return decodeURIComponent(name) } catch { return null } })"
    texts = node(decoded, names)
    assert isinstance(texts, list)
    wanted = {name: 400 if text is None else 200 for name, text in zip(names, texts, strict=True)}
    assert dict(zip(names, statuses(stack, [f"/user/ann/{name}" for name in names]), strict=True)) == wanted


@pytest.mark.parametrize(
    "path", ["//", "///", "//hub/login", "//[", "//a:b/", "//_chp_healthz", "/\\", "/\\x:y/"]
)
def test_paths_that_name_another_host_are_refused(stack: Stack, path: str) -> None:
    assert stack.get(path).status == 400


@pytest.mark.parametrize("target", [f"https://{HOST}", f"https://{HOST}?x=1", f"https://{HOST}/hub/?x=1"])
def test_targets_with_a_scheme_are_served(stack: Stack, target: str) -> None:
    assert stack.seen(target)["by"] == "hub"
    assert stack.get(target.replace("?", "/%ff?") if "?" in target else f"{target}/%ff").status == 400


@pytest.mark.parametrize("name", ["constructor", "toString", "__proto__", "hasOwnProperty"])
def test_names_that_javascript_has_itself_are_names(stack: Stack, name: str) -> None:
    assert stack.seen(f"/{name}/x")["by"] == "hub"
    for path in (f"/user/{name}/lab", f"/user/ann/{name}", f"/user/ann/{name}/x"):
        assert stack.seen(path)["by"] == "user"


@pytest.mark.parametrize("place", PLACES)
def test_what_is_no_websocket_is_served_as_what_it_is(stack: Stack, place: str) -> None:
    for method in ("POST", "PUT", "DELETE", "OPTIONS"):
        seen = stack.seen(f"{place}x", method=method, headers=UPGRADE, body=b"hello")
        assert (seen["method"], seen["body_bytes"]) == (method, 5)
        assert "upgrade" not in seen["headers"]


@pytest.mark.parametrize("body", [{"Content-Length": "5"}, {"Transfer-Encoding": "chunked"}])
def test_a_websocket_with_a_body_is_none(stack: Stack, body: dict[str, str]) -> None:
    sent = b"hello" if "Content-Length" in body else b"5\r\nhello\r\n0\r\n\r\n"
    with connection_to(stack) as connection:
        connection.putrequest("GET", "/user/ann/x", skip_host=True)
        for name, value in {"Host": HOST, **UPGRADE, **body}.items():
            connection.putheader(name, value)
        connection.endheaders(sent)
        assert json.loads(connection.getresponse().read())["body_bytes"] == 5


def test_the_methods_that_the_proxy_knows_are_served(stack: Stack) -> None:
    """But for CONNECT and TRACE, which nginx refuses itself."""
    methods = node("require('node:http').METHODS")
    assert isinstance(methods, list)
    for method in {*methods} - {"CONNECT", "TRACE"}:
        assert stack.get("/user/ann/x", method=method).status == 200, method
    for method in ("CONNECT", "TRACE"):
        assert stack.get("/user/ann/x", method=method).status in {400, 405}


@pytest.mark.parametrize("place", PLACES)
def test_an_unknown_method_with_much_to_say(stack: Stack, place: str) -> None:
    assert stack.get(f"{place}x", method="BREW", body=bytes(4 * 1024**2)).status == 405


@pytest.mark.parametrize("method", ["BREW", "get", "X_Y", "A" * 300])
def test_unknown_methods(stack: Stack, method: str) -> None:
    line = status_line(stack, f"{method} /hub/ HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode())
    assert line.split()[1] in {"400", "405"}


def test_headers_that_nginx_takes_the_proxy_takes(stack: Stack) -> None:
    """With a body still to be read, which the proxy would not have waited for."""
    headers = {f"X-Large-{number}": "x" * 8100 for number in range(3)}
    seen = stack.seen("/hub/x", method="POST", headers=headers, body=bytes(4 * 1024**2))
    assert [len(seen["headers"][name.lower()]) for name in headers] == [8100] * 3


@pytest.mark.parametrize(
    "request_",
    [
        b"GET /hub/" + b"x" * 9000 + b" HTTP/1.1\r\nHost: %s\r\n\r\n",
        b"GET /hub/ HTTP/1.1\r\nHost: %s\r\nCookie: " + b"x" * 9000 + b"\r\n\r\n",
        b"GET /hub/ HTTP/1.1\r\nHost: %s\r\nX: a\x00b\r\n\r\n",
        b"GET /hub/ HTTP/1.1\r\nHost: %s\r\nX: a\x01b\r\n\r\n",
        b"GET /hub/ HTTP/1.1\r\nHost: %s\r\nHost: %s\r\n\r\n",
        b"GET /hub/ HTTP/1.1\r\nHost: a/b\r\n\r\n",
        b"GET /hub/ HTTP/1.1\r\n\r\n",
        b"GET /hub/a b HTTP/1.1\r\nHost: %s\r\n\r\n",
        b"GET /hub/%%00 HTTP/1.1\r\nHost: %s\r\n\r\n",
        b"GET hub HTTP/1.1\r\nHost: %s\r\n\r\n",
        b"GET * HTTP/1.1\r\nHost: %s\r\n\r\n",
        b"GET https:/// HTTP/1.1\r\nHost: %s\r\n\r\n",
        b"POST /hub/ HTTP/1.1\r\nHost: %s\r\nContent-Length: -1\r\n\r\n",
        b"POST /hub/ HTTP/1.1\r\nHost: %s\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"\x16\x03\x01\x02\x00\r\n\r\n",
    ],
    ids=lambda request_: ascii(request_)[2:40],
)
def test_what_is_no_request_is_refused(stack: Stack, request_: bytes) -> None:
    line = status_line(stack, request_.replace(b"%s", HOST.encode()).replace(b"%%", b"%"))
    assert line.split()[1] in {"400", "414"}
