"""Sizes, durations, days and hosts: what each spelling means, and that formatting is the inverse of reading."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubagent.config.kinds.places import parse_network
from hubagent.config.kinds.times import format_days, parse_days
from hubagent.config.kinds.types import (
    format_duration,
    format_size,
    parse_duration,
    parse_hostname,
    parse_listen_address,
    parse_size,
)
from hubagent.config.tree import RefusedError


@pytest.mark.parametrize(
    ("text", "size_bytes"),
    [
        ("1k", 1024),
        ("100m", 104857600),
        ("4G", 4294967296),
        ("1.5G", 1610612736),
        ("0.5k", 512),
        ("2T", 2**41),
    ],
)
def test_sizes_are_powers_of_1024(text: str, size_bytes: int) -> None:
    assert parse_size(text) == size_bytes


@pytest.mark.parametrize("text", ["", "4", "4GB", "G", "-1G", "1.G", "1,5G", "4 G", "4G ", "0.001k", "٤G"])
def test_other_sizes_are_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        parse_size(text)


@given(st.integers(1, 2**50))
def test_a_size_is_written_as_it_is_read(size_bytes: int) -> None:
    text = format_size(size_bytes)
    assert (text if isinstance(text, int) else parse_size(text)) == size_bytes


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("0", 0),
        ("90s", 90),
        ("30m", 1800),
        ("12h", 43200),
        ("1h30m", 5400),
        ("2d", 172800),
        ("1d2h3m4s", 93784),
    ],
)
def test_durations_are_seconds(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "30", "1.5h", "m", "30m1h", "-1m", "30 m", "1w", "30M", "30m\n"])
def test_other_durations_are_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        parse_duration(text)


@given(st.integers(0, 10**9))
def test_a_duration_is_written_as_it_is_read(seconds: int) -> None:
    assert parse_duration(str(format_duration(float(seconds)))) == seconds


@pytest.mark.parametrize(
    ("text", "days"),
    [
        ("mon-fri", (0, 1, 2, 3, 4)),
        ("sat", (5,)),
        ("mon,wed", (0, 2)),
        ("fri-mon", (0, 4, 5, 6)),
        ("mon-wed,fri", (0, 1, 2, 4)),
        ("sun,mon", (0, 6)),
        ("mon-sun", (0, 1, 2, 3, 4, 5, 6)),
    ],
)
def test_days(text: str, days: tuple[int, ...]) -> None:
    assert parse_days(text) == days


@given(st.sets(st.integers(0, 6), min_size=1))
def test_days_are_written_as_they_are_read(days: set[int]) -> None:
    assert parse_days(format_days(tuple(sorted(days)))) == tuple(sorted(days))


@pytest.mark.parametrize(
    "name", ["localhost", "hub", "a.b-c.d9", "1.example.org", "x" * 63 + ".org", "xn--p1ai"]
)
def test_host_names(name: str) -> None:
    assert parse_hostname(name) == name


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a_b",
        "A",
        "1.2.3.4",
        "a.1",
        "::1",
        "x" * 64,
        "a." * 126 + "aa",
        "a b",
    ],
)
def test_what_is_no_host_name(name: str) -> None:
    with pytest.raises(RefusedError):
        parse_hostname(name)


@pytest.mark.parametrize("text", ["127.0.0.1:9811", "0.0.0.0:1", "[::1]:65535", "[2001:db8::1]:9811"])
def test_a_listen_address_is_written_as_it_is_read(text: str) -> None:
    assert str(parse_listen_address(text)) == text


@pytest.mark.parametrize(
    "text",
    [
        "9811",
        ":9811",
        "127.0.0.1",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:09811",
        "::1:9811",
        "[127.0.0.1]:1",
        "1.2.3:9811",
        "127.0.0.1:9811\n",
        "[::1%eth0]:9811",
        "127.0.0.1:443",
    ],
)
def test_what_is_no_listen_address(text: str) -> None:
    with pytest.raises(RefusedError):
        parse_listen_address(text)


@pytest.mark.parametrize(
    ("text", "network", "port", "protocol"),
    [
        ("10.1.2.0/24", "10.1.2.0/24", None, "tcp"),
        ("192.168.7.5", "192.168.7.5/32", None, "tcp"),
        ("192.168.7.5/32", "192.168.7.5/32", None, "tcp"),
        ("192.168.7.5:5432", "192.168.7.5/32", 5432, "tcp"),
        ("192.168.7.5:5432/tcp", "192.168.7.5/32", 5432, "tcp"),
        ("10.0.0.0/8:53/udp", "10.0.0.0/8", 53, "udp"),
    ],
)
def test_an_open_network_is_an_address_with_a_port_or_without(
    text: str, network: str, port: int | None, protocol: str
) -> None:
    found = parse_network(text)
    assert (str(found.network), found.port, found.protocol) == (network, port, protocol)
    assert parse_network(str(found)) == found


@pytest.mark.parametrize(
    "text",
    ["", ":", "nas", "10.1", "010.1.2.3", "10.0.0.0/7", "10.0.0.1:65536", "10.0.0.1/udp", "::1", "224.0.0.1"],
)
def test_other_networks_are_refused(text: str) -> None:
    with pytest.raises(RefusedError):
        parse_network(text)
