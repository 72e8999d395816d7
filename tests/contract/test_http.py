"""HttpProbe: the fake and real sockets give the same answers, and the real one keeps its deadline."""

from __future__ import annotations

import hashlib
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.machine.clock import SystemClock
from hubagent.adapters.net.certificates import PemCertificateStore
from hubagent.adapters.net.probe import MAX_BODY_BYTES, SocketHttpProbe
from hubagent.errors import TemporaryError
from hubagent.ports import HttpAnswer, HttpProbe
from tests.contract.tiny_server import Part, TinyServer
from tests.fakes import FakeHttpProbe

Serve = Callable[..., TinyServer]


@pytest.fixture
def serve() -> Iterator[Serve]:
    servers: list[TinyServer] = []

    def start(*parts: Part, pair: tuple[Path, Path] | None = None) -> TinyServer:
        servers.append(TinyServer(parts, pair=pair))
        return servers[-1]

    yield start
    for server in servers:
        server.close()


@pytest.fixture(scope="module")
def pair(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    certificate, key = folder / "crt", folder / "key"
    PemCertificateStore(LocalFileStore(), SystemClock()).create_self_signed(
        certificate, key, host="hub.example.org"
    )
    return certificate, key


@pytest.fixture
def probe() -> SocketHttpProbe:
    return SocketHttpProbe()


class TestFakeAndReal:
    """What both do."""

    @pytest.fixture(params=["fake", "real"])
    def world(
        self, request: pytest.FixtureRequest, serve: Serve
    ) -> tuple[HttpProbe, Callable[[bytes, int], str]]:
        """A probe, and a function that serves (body, status) and returns the URL."""
        if request.param == "real":
            return (
                SocketHttpProbe(),
                lambda body, status: f"http://127.0.0.1:{serve(_answer(body, status)).port}/x",
            )
        fake = FakeHttpProbe()

        def answer(body: bytes, status: int) -> str:
            fake.serve("http://127.0.0.1:1234/x", status, body)
            return "http://127.0.0.1:1234/x"

        return fake, answer

    @pytest.mark.parametrize("status", [200, 204, 302, 404, 500])
    def test_every_status_is_an_answer(
        self, world: tuple[HttpProbe, Callable[[bytes, int], str]], status: int
    ) -> None:
        probe, start = world
        body = b"" if status == 204 else b"marker"
        assert probe.request(start(body, status)) == HttpAnswer(status, body)

    def test_nobody_listening_is_a_temporary_error(
        self, world: tuple[HttpProbe, Callable[[bytes, int], str]]
    ) -> None:
        probe, _ = world
        with pytest.raises(TemporaryError, match=r"POST http://127\.0\.0\.1:9/z: Connection refused"):
            probe.request("http://127.0.0.1:9/z", method="POST")


def test_the_request_is_what_was_asked_for(probe: SocketHttpProbe, serve: Serve) -> None:
    server = serve(_answer(b"", 200))
    probe.request(
        f"http://hub.example.org:{server.port}/a/b?c=d",
        method="POST",
        headers={"Authorization": "token t"},
        connect_to="127.0.0.1",
    )
    lines = server.requests[0].decode().split("\r\n")
    assert lines[0] == "POST /a/b?c=d HTTP/1.1"
    assert f"Host: hub.example.org:{server.port}" in lines
    assert "Authorization: token t" in lines
    assert "Connection: close" in lines


def test_a_form_is_sent_and_headers_come_back(probe: SocketHttpProbe, serve: Serve) -> None:
    answer = b"HTTP/1.1 302 Found\r\nLocation: /x\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nContent-Length: 0\r\n\r\n"
    server = serve(answer)
    fake = FakeHttpProbe()
    url = f"http://127.0.0.1:{server.port}/"
    cookies = (("location", "/x"), ("set-cookie", "a=1"), ("set-cookie", "b=2"))
    fake.serve(url, 302, headers=(*cookies, ("content-length", "0")))
    for each in (probe, fake):
        told = each.request(url, method="POST", body=b"username=a&password=b")
        assert (told.status, told.headers[:3], told.header("location")) == (302, cookies, "/x")
    assert server.requests[0].endswith(b"\r\n\r\nusername=a&password=b")
    assert fake.journal[0].body == b"username=a&password=b"


def test_every_request_opens_its_own_connection(probe: SocketHttpProbe, serve: Serve) -> None:
    server = serve(_answer(b"", 200))
    for _ in range(3):
        probe.request(f"http://127.0.0.1:{server.port}/")
    assert len(server.requests) == 3


def test_a_body_is_cut_at_its_limit(probe: SocketHttpProbe, serve: Serve) -> None:
    server = serve(_answer(b"x" * (MAX_BODY_BYTES + 5), 200))
    assert len(probe.request(f"http://127.0.0.1:{server.port}/", timeout_s=10).body) == MAX_BODY_BYTES


def test_a_chunked_body_is_put_together(probe: SocketHttpProbe, serve: Serve) -> None:
    server = serve(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n")
    assert probe.request(f"http://127.0.0.1:{server.port}/").body == b"abcde"


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((5.0,), id="silence"),
        pytest.param((b"HTTP/1.1 200 OK\r\n", 5.0), id="half the head"),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", 5.0), id="half the body"),
        pytest.param((b"HTTP/1.1 200 OK\r\n", *((b"A: b\r\n", 0.1) * 80)), id="a head in drops"),
        pytest.param(
            (b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *((b"x", 0.1) * 80)), id="a body in drops"
        ),
    ],
)
def test_the_deadline_is_for_the_whole_answer(
    probe: SocketHttpProbe, serve: Serve, parts: tuple[Part, ...]
) -> None:
    server = serve(*parts)
    begin = time.monotonic()
    with pytest.raises(TemporaryError, match=r"no answer within 0\.5 s"):
        probe.request(f"http://127.0.0.1:{server.port}/", timeout_s=0.5)
    assert 0.4 < time.monotonic() - begin < 1.5


def test_a_server_that_never_accepts_meets_the_deadline(probe: SocketHttpProbe) -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=0) as deaf:
        port = deaf.getsockname()[1]
        begin = time.monotonic()
        with pytest.raises(TemporaryError, match="no answer"):
            probe.request(f"https://127.0.0.1:{port}/", timeout_s=0.3)
        assert time.monotonic() - begin < 1.5


@pytest.mark.parametrize(
    "parts",
    [
        pytest.param((), id="nothing"),
        pytest.param((b"SSH-2.0-OpenSSH_9.2p1\r\n",), id="another protocol"),
        pytest.param((b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx",), id="a body that breaks off"),
        pytest.param((b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 1000 + b"\r\n",), id="endless headers"),
    ],
)
def test_what_is_no_http_is_a_temporary_error(
    probe: SocketHttpProbe, serve: Serve, parts: tuple[Part, ...]
) -> None:
    server = serve(*parts)
    with pytest.raises(TemporaryError, match=rf"GET http://127\.0\.0\.1:{server.port}/: no HTTP answer"):
        probe.request(f"http://127.0.0.1:{server.port}/")


@pytest.mark.parametrize(
    "url", ["ftp://127.0.0.1/", "http://127.0.0.1:99999/", "/path", "http:///", "https:///x"]
)
def test_what_is_no_url_is_said(probe: SocketHttpProbe, url: str) -> None:
    with pytest.raises(TemporaryError):
        probe.request(url)


def test_headers_cannot_smuggle_others_in(probe: SocketHttpProbe, serve: Serve) -> None:
    server = serve(_answer(b"", 200))
    with pytest.raises(TemporaryError, match="cannot be sent"):
        probe.request(f"http://127.0.0.1:{server.port}/", headers={"X": "a\r\nEvil: b"})


class TestTls:
    """Over TLS."""

    def test_the_name_is_the_urls_and_the_certificate_is_told(
        self, probe: SocketHttpProbe, serve: Serve, pair: tuple[Path, Path]
    ) -> None:
        server = serve(_answer(b"m", 200), pair=pair)
        answer = probe.request(f"https://hub.example.org:{server.port}/", connect_to="127.0.0.1")
        der = ssl.PEM_cert_to_DER_cert(pair[0].read_text())
        assert answer == HttpAnswer(200, b"m", hashlib.sha256(der).hexdigest())
        assert server.names == ["hub.example.org"]

    def test_a_new_certificate_shows_at_the_next_request(
        self, probe: SocketHttpProbe, serve: Serve, pair: tuple[Path, Path], tmp_path: Path
    ) -> None:
        other = tmp_path / "crt", tmp_path / "key"
        PemCertificateStore(LocalFileStore(), SystemClock()).create_self_signed(*other, host=None)
        seen = {
            probe.request(
                f"https://127.0.0.1:{serve(_answer(b'', 200), pair=files).port}/"
            ).certificate_sha256
            for files in (pair, other)
        }
        assert len(seen) == 2

    def test_a_plain_server_is_a_temporary_error(self, probe: SocketHttpProbe, serve: Serve) -> None:
        server = serve(_answer(b"", 200))
        with pytest.raises(TemporaryError, match=r"no TLS connection|no answer|reset|EOF"):
            probe.request(f"https://127.0.0.1:{server.port}/", timeout_s=0.5)

    def test_the_deadline_holds(self, probe: SocketHttpProbe, serve: Serve, pair: tuple[Path, Path]) -> None:
        server = serve(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", *((b"x", 0.1) * 80), pair=pair)
        begin = time.monotonic()
        with pytest.raises(TemporaryError, match=r"no answer within 0\.5 s"):
            probe.request(f"https://127.0.0.1:{server.port}/", timeout_s=0.5)
        assert time.monotonic() - begin < 1.5


def _answer(body: bytes, status: int) -> bytes:
    location = b"Location: /elsewhere\r\n" if status == 302 else b""
    return b"HTTP/1.1 %d X\r\n%sContent-Length: %d\r\n\r\n%s" % (status, location, len(body), body)
