"""What a browser meets: nginx before a real configurable-http-proxy, a hub and a user's server."""

from __future__ import annotations

import http.client
import json
import ssl
import subprocess
from dataclasses import replace

import aiohttp
import pytest

from tests.waiting import wait_until

from .client import ask, context
from .front import HOST
from .stack import Stack

BROWSERS = {"Accept-Encoding": "gzip, deflate, br, zstd", "Sec-Fetch-Site": "same-origin"}
BY_WHOM = pytest.mark.parametrize("by", [{}, BROWSERS], ids=["program", "page"])
"""What a page asks for may be compressed; that must not hold up what it is sent, and it sends."""

OUTSIDE = "127.0.0.2"  # an address that is not this machine's agent


def test_http_is_sent_to_https(stack: Stack) -> None:
    answer = ask(stack.site.http_port, "/hub/login?next=%2Fhub%2F", host=HOST, tls=False)
    assert answer.status == 301
    assert answer.headers["location"] == f"https://{HOST}:{stack.site.https_port}/hub/login?next=%2Fhub%2F"


def test_hub_and_user_are_reached(stack: Stack) -> None:
    assert stack.seen("/hub/login")["by"] == "hub"
    assert stack.seen("/user/ann/lab")["by"] == "user"
    assert stack.seen("/")["by"] == "hub"
    assert stack.seen("/services/culler/")["by"] == "hub"


def test_paths_arrive_as_they_were_sent(stack: Stack) -> None:
    path = "/user/ann%40example.org/api/contents/a%2Fb%20c.ipynb?x=1&y=%26"
    assert stack.seen(path)["target"] == path


def test_redirects_of_nginx_itself_keep_the_port(stack: Stack) -> None:
    answer = stack.get("/hub")
    assert (answer.status, answer.headers["location"]) == (301, "/hub/")


def test_headers_that_the_hub_sees(stack: Stack) -> None:
    headers = stack.seen("/hub/login")["headers"]
    assert headers["host"] == f"{HOST}:{stack.site.https_port}"
    assert headers["x-scheme"] == "https"
    assert headers["x-forwarded-proto"].split(",")[0] == "https"
    assert headers["x-forwarded-for"].split(",")[0] == "127.0.0.1"
    assert headers["x-real-ip"] == "127.0.0.1"
    assert headers["x-forwarded-host"] == f"{HOST}:{stack.site.https_port}"
    assert "forwarded" not in headers
    assert "upgrade" not in headers


def test_clients_cannot_forge_their_origin(stack: Stack) -> None:
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Real-IP": "6.6.6.6",
        "X-Forwarded-Proto": "http",
        "X-Scheme": "http",
        "X-Forwarded-Host": "evil.example",
        "Forwarded": "for=6.6.6.6;host=evil.example;proto=http",
    }
    told = stack.seen("/hub/login", headers=forged, source=OUTSIDE)["headers"]
    assert "6.6.6.6" not in str(told)
    assert "evil" not in str(told)
    assert told["x-forwarded-for"].split(",")[0] == OUTSIDE
    assert told["x-scheme"] == "https"


def test_the_name_in_the_request_line_beats_the_host_header(stack: Stack) -> None:
    """RFC 9112, 3.2.2: with an absolute target, Host must be ignored."""
    target = f"https://{HOST}/hub/login"
    told = stack.seen(target, headers={"Host": "evil.example"}, default_host_header=False)
    assert told["headers"]["host"] == HOST


def test_only_websockets_may_upgrade(stack: Stack) -> None:
    asked = {"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings", "HTTP2-Settings": "AAMAAABkAAQAAP__"}
    headers = stack.seen("/user/ann/lab", headers=asked)["headers"]
    assert "upgrade" not in headers
    assert headers.get("connection", "") != "upgrade"


@pytest.mark.parametrize(
    "path",
    ["/user/ann/api/kernels/2b8e/channels?session_id=1", "/user/ann/pluto/?id=9", "/services/chat/socket"],
)
@BY_WHOM
def test_websockets_echo(stack: Stack, path: str, by: dict[str, str]) -> None:
    async def talk() -> list[str]:
        url = f"wss://127.0.0.1:{stack.site.https_port}{path}"
        async with (
            aiohttp.ClientSession() as session,
            session.ws_connect(
                url, ssl=context(), server_hostname=HOST, headers={"Host": HOST, **by}, max_msg_size=0
            ) as websocket,
        ):
            await websocket.send_str("hello")
            said = await websocket.receive_str(timeout=20)
            large = bytes(3 * 1024**2)
            await websocket.send_bytes(large)
            return [said, str(await websocket.receive_bytes(timeout=20) == large)]

    server = "hub" if path.startswith("/services") else "user"
    assert stack.user.run(talk()) == [f"{server} {path.partition('?')[0]} hello", "True"]


@pytest.mark.parametrize("path", ["/hub/api/users/ann/server/progress", "/user/ann/proxy/8050/progress"])
@BY_WHOM
def test_server_sent_events_come_at_once(stack: Stack, path: str, by: dict[str, str]) -> None:
    """The stream is held open behind, so the first event can arrive only if nothing collects it."""
    server = stack.user if path.startswith("/user/") else stack.hub
    connection = http.client.HTTPConnection("127.0.0.1", stack.site.https_port, timeout=20)
    connection.connect()
    connection.sock = context().wrap_socket(connection.sock, server_hostname=HOST)
    connection.request("GET", path, headers={"Host": HOST, **by})
    answer = connection.getresponse()
    assert answer.readline() == b'data: {"progress": 0}\n'
    server.release()
    assert b'{"progress": 100}' in answer.read()
    connection.close()


@BY_WHOM
def test_uploads_to_users_servers_are_not_collected_first(stack: Stack, by: dict[str, str]) -> None:
    """The server answers to the first bytes; the rest is never sent."""
    connection = http.client.HTTPConnection("127.0.0.1", stack.site.https_port, timeout=20)
    connection.connect()
    connection.sock = context().wrap_socket(connection.sock, server_hostname=HOST)
    connection.putrequest("PUT", "/user/ann/first-bytes", skip_host=True)
    connection.putheader("Host", HOST)
    connection.putheader("Content-Length", "1000")
    for name, value in by.items():
        connection.putheader(name, value)
    connection.endheaders(b"begin")
    assert connection.getresponse().read() == b"begin"
    connection.close()


def test_large_headers_of_the_hub_pass(stack: Stack) -> None:
    """Its cookies and policies do not fit nginx's default of 4 kB."""
    assert len(stack.get("/hub/header/8000").headers["x-large"]) == 8000


@pytest.mark.parametrize("path", ["/user/ann/api/contents/a.ipynb", "/hub/api/users"])
@BY_WHOM
def test_body_limit(stack: Stack, path: str, by: dict[str, str]) -> None:
    limit = 1024**2
    site = replace(stack.site, max_body_bytes=limit)
    stack.front.switch(site)
    try:
        assert stack.seen(path, method="PUT", body=bytes(limit), headers=by)["body_bytes"] == limit
        assert stack.get(path, method="PUT", body=bytes(limit + 1), headers=by).status == 413
    finally:
        stack.front.switch(stack.site)


def test_a_body_of_100_megabytes(stack: Stack) -> None:
    size = stack.site.max_body_bytes
    assert stack.seen("/user/ann/files/x", method="PUT", body=bytes(size))["body_bytes"] == size
    refused = {"Content-Length": str(size + 1)}  # nginx decides by the announcement, before the body
    assert stack.get("/user/ann/files/x", method="PUT", headers=refused).status == 413


@pytest.mark.parametrize(
    "path",
    [
        "/metrics",
        "/_chp_healthz",
        "/hub/metrics",
        "/hub/api/metrics",
        "/hub/api/hubagent/probe",
        "/hub/api/%68ubagent/health",
        "/hub//metrics",
        "/hub/%6detrics",
        "/hub/./metrics",
        "/hub/login/../metrics",
        "/metrics?x=1",
        "/-/hub-restarting",
    ],
)
def test_not_for_the_world(stack: Stack, path: str) -> None:
    answer = stack.get(path)
    assert answer.status == 404
    assert b"nginx" in answer.body  # nginx's own, not the hub's


def test_marker_is_for_this_machine_alone(stack: Stack) -> None:
    ports = {stack.site.https_port: True, stack.site.http_port: False}
    for port, tls in ports.items():
        mine = ask(port, "/-/hubagent", host=HOST, tls=tls)
        assert (mine.status, mine.body.decode()) == (200, stack.site.marker)
        assert mine.headers["content-type"] == "text/plain"
        assert ask(port, "/-/hubagent", host=HOST, tls=tls, source=OUTSIDE).status == 404


def test_over_http_the_marker_needs_no_name(stack: Stack) -> None:
    """The agent asks http://127.0.0.1/-/hubagent, whatever `host` is."""
    port = stack.site.http_port
    mine = ask(port, "/-/hubagent", host="127.0.0.1", tls=False)
    assert (mine.status, mine.body.decode()) == (200, stack.site.marker)
    with pytest.raises(http.client.RemoteDisconnected):
        ask(port, "/-/hubagent", host="127.0.0.1", tls=False, source=OUTSIDE)


def test_unknown_names_get_nothing(stack: Stack) -> None:
    with pytest.raises(http.client.RemoteDisconnected):
        ask(stack.site.http_port, "/", host="other.example.org", tls=False)
    with pytest.raises(ssl.SSLError, match=r"(?i)unrecognized.name"):
        ask(stack.site.https_port, "/", host="other.example.org")
    with pytest.raises(http.client.RemoteDisconnected):
        ask(stack.site.https_port, "/", host="other.example.org", server_name=HOST)


def test_without_host_any_name_is_served(stack: Stack) -> None:
    stack.front.switch(replace(stack.site, host=None, self_signed=True))
    try:
        answer = ask(stack.site.https_port, "/hub/login", host="whatever.example")
        assert answer.status == 200
        assert "strict-transport-security" not in answer.headers
        answer = ask(stack.site.http_port, "/hub/login", host="whatever.example", tls=False)
        assert answer.headers["location"] == f"https://whatever.example:{stack.site.https_port}/hub/login"
    finally:
        stack.front.switch(stack.site)


def test_acme_challenges_are_served_over_http(stack: Stack) -> None:
    folder = stack.front.folder / "acme/.well-known/acme-challenge"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "token").write_text("token.thumbprint")
    asked = "/.well-known/acme-challenge/"
    answer = ask(stack.site.http_port, asked + "token", host=HOST, tls=False)
    assert (answer.status, answer.body) == (200, b"token.thumbprint")
    assert ask(stack.site.http_port, asked + "absent", host=HOST, tls=False).status == 404
    assert ask(stack.site.http_port, asked + "../../../nginx.conf", host=HOST, tls=False).status != 200


def test_http2(stack: Stack) -> None:
    fetched = subprocess.run(
        [
            "curl",
            "-sk",
            "--http2",
            "--resolve",
            f"{HOST}:{stack.site.https_port}:127.0.0.1",
            "-w",
            "\n%{http_version} %{http_code}",
            f"https://{HOST}:{stack.site.https_port}/hub/login",
        ],
        capture_output=True,
        text=True,
        check=True,
    )
    body, _, result = fetched.stdout.rpartition("\n")
    assert result == "2 200"
    assert dict(json.loads(body)["headers"])["host"] == f"{HOST}:{stack.site.https_port}"


def test_server_version_is_not_told(stack: Stack) -> None:
    for path in ("/metrics", "/hub"):
        assert stack.get(path).headers["server"] == "nginx"


def test_strict_transport_security(stack: Stack) -> None:
    assert stack.get("/hub/login").headers["strict-transport-security"] == "max-age=63072000"


def test_the_log_has_no_query_string(stack: Stack) -> None:
    def lines() -> str:
        return stack.front.access_log.read_text()

    assert stack.seen("/user/ann/lab?token=c4narytoken", headers={"Referer": "https://x/?token=c4narytoken"})
    stack.get("/metrics?token=c4narytoken")
    ask(stack.site.http_port, "/hub/?token=c4narytoken", host=HOST, tls=False)
    wait_until(lambda: '"GET /hub/ HTTP/1.1" 301' in lines(), "the last request is logged")
    assert '"GET /user/ann/lab HTTP/1.1" 200' in lines()
    assert '"GET /metrics HTTP/1.1" 404' in lines()
    assert "c4nary" not in lines()


def test_what_the_agent_asks_at_every_look_is_not_logged(stack: Stack) -> None:
    def lines() -> str:
        return stack.front.access_log.read_text()

    assert stack.get("/hub/agents", headers={"User-Agent": "hubagent"}).status == 200
    assert stack.get("/hub/others", headers={"User-Agent": "hubagent/1"}).status == 200
    wait_until(lambda: '"GET /hub/others HTTP/1.1" 200' in lines(), "the last request is logged")
    assert "/hub/agents" not in lines()


def test_connections_to_the_proxy_are_kept(stack: Stack) -> None:
    """20 requests after each other leave no pile of closed connections to the proxy's port."""
    address, time_wait_state = f"0100007F:{stack.proxy.port:04X}", "06"

    def time_wait() -> int:
        with open("/proc/net/tcp", encoding="ascii") as table:
            rows = [line.split() for line in table]
        return sum(address in row[1:3] and row[3] == time_wait_state for row in rows)

    before = time_wait()
    for _ in range(20):
        stack.seen("/hub/login")
    assert time_wait() - before <= 4
