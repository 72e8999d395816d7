"""What is served, and how HTTP is spoken, on real sockets."""

from __future__ import annotations

import dataclasses
import gzip
import json
from http.client import HTTPConnection

import pytest

from hubagent.state.status_json import from_json, without_people

from . import samples
from .client import get, reply, send_raw
from .conftest import Rig


def test_metrics_are_text_of_prometheus(rig: Rig) -> None:
    rig.metrics.set_status(samples.healthy())
    answer = get(rig.serve())
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert "\nhubagent_config_applied_generation 42.0\n" in answer.text


def test_metrics_are_served_before_the_first_look(rig: Rig) -> None:
    answer = get(rig.serve())
    assert answer.status == 200
    assert "hubagent_build_info{" in answer.text
    assert "hubagent_config_applied_generation" not in answer.text


@pytest.mark.parametrize("accept", ["gzip", "deflate, gzip;q=0.8", "GZIP"])
def test_gzip_if_asked(rig: Rig, accept: str) -> None:
    address = rig.serve()
    answer = get(address, headers={"Accept-Encoding": accept})
    assert answer.headers["content-encoding"] == "gzip"
    assert b"hubagent_build_info{" in gzip.decompress(answer.body)
    assert len(answer.body) < len(get(address).body) / 2


@pytest.mark.parametrize("accept", ["", "gzip;q=0", "gzip; q=0.0", "identity"])
def test_no_gzip_unless_asked(rig: Rig, accept: str) -> None:
    answer = get(rig.serve(), headers={"Accept-Encoding": accept})
    assert "content-encoding" not in answer.headers
    assert answer.headers["vary"] == "Accept-Encoding"


@pytest.mark.parametrize("path", ["/", "/metrics", "/healthz", "/readyz", "/status.json", "/nowhere"])
def test_head_is_get_without_the_body(rig: Rig, path: str) -> None:
    rig.metrics.set_status(samples.healthy())
    address = rig.serve()
    long, short = get(address, path), get(address, path, method="HEAD")
    assert short.body == b""
    assert short.status == long.status
    # a scrape changes the request counters, and so at most a few digits of its own length
    assert abs(int(short.headers["content-length"]) - len(long.body)) < 200
    assert int(short.headers["content-length"]) > 0


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "OPTIONS", "TRACE", "CONNECT", "get"])
def test_other_methods_are_refused(rig: Rig, method: str) -> None:
    answer = send_raw(rig.serve(), f"{method} /metrics HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: GET, HEAD\r\n" in answer


@pytest.mark.parametrize(
    ("request_", "status"),
    [
        (b"\r\n\r\n", 400),
        (b"GET\r\n\r\n", 400),
        (b"GET /metrics\r\n\r\n", 400),
        (b"GET  /metrics HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", 400),  # TLS spoken to plain HTTP
        (b"GET /metrics HTTP/1.1\r\nno colon\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET /metrics HTTP/1.1\r\nContent-Length : 3\r\n\r\n", 400),
        (b"GET /metrics HTTP/2.0\r\n\r\n", 505),
        (b"GET /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", 413),
        (b"GET /metrics HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 413),
        (b"GET /../../etc/passwd HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET //metrics HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
        (b"GET /%6detrics HTTP/1.1\r\nConnection: close\r\n\r\n", 404),
    ],
)
def test_bad_requests_get_one_clear_answer(rig: Rig, request_: bytes, status: int) -> None:
    address = rig.serve()
    answer = send_raw(address, request_)
    assert answer.startswith(f"HTTP/1.1 {status} ".encode())
    assert answer.count(b"HTTP/1.1 ") == 1
    assert get(address).status == 200


def test_a_body_is_not_taken_for_the_next_request(rig: Rig) -> None:
    inner = b"GET /readyz HTTP/1.1\r\n\r\n"
    head = b"GET /metrics HTTP/1.1\r\nContent-Length: %d\r\n\r\n" % len(inner)
    assert send_raw(rig.serve(), head + inner).count(b"HTTP/1.1 ") == 1


def test_keep_alive_serves_many_requests_on_one_connection(rig: Rig) -> None:
    connection = HTTPConnection(*rig.serve(), timeout=10)
    connection.connect()
    port = connection.sock.getsockname()[1]
    for _ in range(50):
        connection.request("GET", "/healthz")
        assert reply(connection.getresponse()).body == b"ok\n"
        assert connection.sock.getsockname()[1] == port
    connection.close()


def test_pipelined_requests_are_answered_in_order(rig: Rig) -> None:
    request = b"GET /healthz HTTP/1.1\r\n\r\nHEAD /nowhere HTTP/1.1\r\n\r\n" * 40
    last = b"GET /healthz HTTP/1.1\r\nConnection: close\r\n\r\n"
    answer = send_raw(rig.serve(), request + last)
    assert (answer.count(b"HTTP/1.1 200 "), answer.count(b"HTTP/1.1 404 ")) == (41, 40)


def test_http_1_0_is_closed_unless_asked_otherwise(rig: Rig) -> None:
    assert b"Connection: close" in send_raw(rig.serve(), b"GET /healthz HTTP/1.0\r\n\r\n")


def test_query_strings_do_not_matter(rig: Rig) -> None:
    assert get(rig.serve(), "/healthz?probe=1").status == 200


def test_healthz_follows_the_loop_not_the_wall_clock(rig: Rig) -> None:
    address = rig.serve()
    assert get(address, "/healthz").status == 200
    rig.clock.now_s += 121
    answer = get(address, "/healthz")
    assert answer.status == 503
    assert "121 s" in answer.text
    rig.endpoints.alive()
    assert get(address, "/healthz").status == 200


def test_readyz_says_why_not(rig: Rig) -> None:
    address = rig.serve()
    assert get(address, "/readyz").status == 503
    rig.metrics.set_status(samples.healthy())
    assert get(address, "/readyz").status == 200
    rig.metrics.set_status(samples.degraded())
    answer = get(address, "/readyz")
    assert answer.status == 503
    assert "verify: generation 43 did not answer" in answer.text
    assert "unit: jupyterhub.service keeps failing" in answer.text
    rig.metrics.set_status(dataclasses.replace(samples.healthy(), generation=None))
    assert get(address, "/readyz").text == "No generation is in force.\n"


def test_status_json_is_the_status_without_people(rig: Rig) -> None:
    address = rig.serve()
    assert get(address, "/status.json").status == 503
    rig.metrics.set_status(samples.degraded())
    answer = get(address, "/status.json")
    assert answer.headers["content-type"] == "application/json"
    assert from_json(json.loads(answer.body)) == without_people(samples.degraded())
    assert b"user1" not in answer.body


def test_the_page_says_what_may_run_in_it(rig: Rig) -> None:
    rig.metrics.set_status(samples.degraded())
    answer = get(rig.serve(), "/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert "user1" not in answer.text


def test_requests_are_counted_by_closed_sets(rig: Rig) -> None:
    address = rig.serve()
    for n in range(20):
        get(address, f"/secret-{n}")
    send_raw(address, b"nonsense\r\n\r\n")
    text = get(address).text
    assert 'hubagent_http_requests_total{code="404",path="other"} 20.0' in text
    assert 'hubagent_http_requests_total{code="400",path="other"} 1.0' in text
    assert "secret" not in text


def test_a_fault_in_an_answer_is_500_and_the_next_one_is_served(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    rig.metrics.set_status(dataclasses.replace(samples.healthy(), looked_at_s="never"))  # type: ignore[arg-type]
    address = rig.serve()
    answer = get(address, "/")
    assert answer.status == 500
    assert b"never" not in answer.body
    assert "answering / failed" in caplog.text
    assert get(address, "/healthz").status == 200
