"""Frames and messages: everything survives the way, nothing else gets through."""

from __future__ import annotations

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubagent import wire
from hubagent.codec import Codec, later
from hubagent.wire.messages import BY_NAME

TEXT = st.text(max_size=40)
NAMES = st.dictionaries(TEXT, TEXT, max_size=4)
LINES = st.lists(TEXT, max_size=4).map(tuple)

MESSAGES = st.one_of(
    st.builds(wire.Claim, TEXT, TEXT, TEXT, NAMES, LINES),
    st.builds(wire.Claim, TEXT, TEXT, TEXT, NAMES, LINES, TEXT, st.floats(0, 1e10)),
    st.builds(wire.Known, st.lists(st.builds(wire.Person, TEXT, TEXT, st.floats(0, 1e10))).map(tuple)),
    st.builds(wire.Gone, TEXT, TEXT),
    st.builds(wire.Create, TEXT, TEXT, TEXT, NAMES, LINES, st.integers(1, 65535)),
    st.builds(wire.Started, TEXT, TEXT, TEXT),
    st.builds(wire.Inspected, st.booleans(), TEXT, st.booleans(), st.integers(-1, 255), st.booleans(), TEXT),
    st.builds(
        wire.Attach,
        TEXT,
        TEXT,
        st.lists(st.builds(wire.Folder, TEXT, TEXT, st.booleans()), max_size=3).map(tuple),
    ),
    st.builds(wire.Become, NAMES, LINES, TEXT, st.integers(0, 2**64), st.integers(0, 2**64)),
    st.builds(wire.GuestSettings, TEXT, LINES, st.dictionaries(TEXT, st.integers(0, 9)), st.booleans(), TEXT),
    st.builds(wire.Proof, TEXT, LINES, NAMES, TEXT, st.floats(0, 1e6)),
    st.builds(wire.Refused, TEXT, TEXT),
    st.just(wire.Done()),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=8,
)


@contextmanager
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    here, there = socket.socketpair()
    with here, there:
        yield here, there


@given(MESSAGES)
def test_every_message_arrives_as_it_was_sent(message: object) -> None:
    with pair() as (here, there):
        wire.send(here, message, timeout_s=5)
        assert wire.receive(there, type(message), timeout_s=5) == message


@given(MESSAGES, st.data())
def test_a_message_with_a_value_of_no_use_is_refused(message: object, data: st.DataObject) -> None:
    values = json.loads(wire.to_json(message))
    values[data.draw(st.sampled_from(sorted(values)))] = None
    with pytest.raises(wire.WireError):
        wire.from_json(json.dumps(values).encode(), type(message))


@given(MESSAGES, TEXT, JSON)
def test_a_message_with_an_unknown_key_is_refused(message: object, key: str, value: object) -> None:
    values = {f"other {key}": value, **json.loads(wire.to_json(message))}
    with pytest.raises(wire.WireError, match="unknown"):
        wire.from_json(json.dumps(values).encode(), type(message))


@given(st.binary(max_size=200) | JSON.map(lambda value: json.dumps(value).encode()))
def test_what_is_no_message_is_refused(body: bytes) -> None:
    with pytest.raises(wire.WireError):
        wire.from_json(body, wire.Claim, wire.Done, wire.Inspect)


def test_a_missing_key_is_refused_by_name() -> None:
    data = json.loads(wire.to_json(wire.Output("box", 3)))
    del data["lines"]
    with pytest.raises(wire.WireError, match=r"Output\.lines: missing"):
        wire.from_json(json.dumps(data).encode(), wire.Output)


def test_a_later_field_is_sent_only_when_it_says_something(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that an older side, which knows no such field, understands everything else."""

    @dataclass(frozen=True)
    class Grown:
        name: str
        account: str = later("")

    monkeypatch.setitem(BY_NAME, "Grown", Codec(Grown, strict=True))  # type: ignore[index]
    assert b"account" not in wire.to_json(Grown("ada"))
    assert wire.from_json(wire.to_json(Grown("ada")), Grown) == Grown("ada")
    assert wire.from_json(wire.to_json(Grown("ada", "1")), Grown) == Grown("ada", "1")
    with pytest.raises(wire.WireError, match=r"Grown\.name: missing"):
        wire.from_json(b'{"v": 1, "verb": "Grown", "account": "1"}', Grown)
    with pytest.raises(wire.WireError, match=r"Grown\.account: must be text, is null"):
        wire.from_json(b'{"v": 1, "verb": "Grown", "name": "ada", "account": null}', Grown)


def test_a_boolean_is_no_number() -> None:
    body = wire.to_json(wire.Output("box", 3)).replace(b"3", b"true")
    with pytest.raises(wire.WireError, match=r"Output\.lines: must be a whole number, is true or false"):
        wire.from_json(body, wire.Output)


@pytest.mark.parametrize(
    "message",
    [
        wire.Inspect("\ud800"),
        wire.Create("\udc80ada", "", "julia", {}, (), 8888),
        wire.Claim("ada", "", "julia", {"A\udfff": ""}, ()),
        wire.Claim("ada", "", "julia", {"A": "\ud800"}, ()),
        wire.Claim("ada", "", "julia", {}, ("sh", "\ud800")),
        wire.Attach("0123456789ab", "/home", (wire.Folder("\ud800", "course", True),)),
    ],
    ids=repr,
)
def test_half_a_character_is_refused(message: object) -> None:
    """JSON can spell one, but no name of a container, path or log line."""
    with pytest.raises(wire.WireError, match="half a character") as refused:
        wire.from_json(wire.to_json(message), type(message))
    assert str(refused.value).isprintable()


def test_a_key_that_somebody_made_up_is_shown_on_one_line() -> None:
    with pytest.raises(wire.WireError) as refused:
        wire.from_json(b'{"v": 1, "verb": "Ping", "\\nERROR \\ud800": 1}', wire.Ping)
    assert str(refused.value).isprintable()


def test_another_message_than_the_expected_is_refused() -> None:
    with pytest.raises(wire.WireError, match="expected Inspect"):
        wire.from_json(wire.to_json(wire.Done()), wire.Inspect)


def test_another_version_is_refused_with_what_to_look_at() -> None:
    body = wire.to_json(wire.Done()).replace(b'"v": 1', b'"v": 2')
    with pytest.raises(wire.WireError, match="same version"):
        wire.from_json(body, wire.Done)


def test_deep_nesting_is_refused() -> None:
    with pytest.raises(wire.WireError):
        wire.from_json(b"[" * 100_000, wire.Done)


def test_too_large_a_message_is_not_sent() -> None:
    with pair() as (here, _), pytest.raises(wire.WireError, match="larger"):
        wire.send(here, wire.Inspect("x" * wire.MAX_BYTES), timeout_s=1)


def test_an_announced_length_beyond_the_limit_is_refused_before_it_is_read() -> None:
    with pair() as (here, there):
        here.sendall(wire.HEADER.pack(wire.MAX_BYTES + 1))
        with pytest.raises(wire.WireError, match="announces"):
            wire.receive(there, wire.Done, timeout_s=5)


def test_a_message_that_stops_half_way_is_refused() -> None:
    with pair() as (here, there):
        here.sendall(wire.encode(wire.Done())[:-3])
        here.shutdown(socket.SHUT_WR)
        with pytest.raises(wire.WireError, match="closed"):
            wire.receive(there, wire.Done, timeout_s=5)


def test_the_deadline_is_for_the_whole_message_however_it_trickles() -> None:
    """A byte now and then must not keep the reader for ever."""
    frame = wire.encode(wire.Inspect("x" * 100_000))
    done = threading.Event()

    def trickle(connection: socket.socket) -> None:
        for byte in frame:
            if done.wait(0.02):
                return
            connection.sendall(bytes([byte]))

    with pair() as (here, there):
        thread = threading.Thread(target=trickle, args=(here,))
        thread.start()
        try:
            with pytest.raises(wire.WireError, match="no whole message"):
                wire.receive(there, wire.Inspect, timeout_s=0.2)
        finally:
            done.set()
            thread.join()
