"""Bytes that almost are messages."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from hubagent import wire

TEXT = st.text(max_size=20)
NAMES = st.dictionaries(TEXT, TEXT, max_size=3)
LINES = st.lists(TEXT, max_size=3).map(tuple)

REQUESTS = st.one_of(
    st.builds(wire.Claim, TEXT, TEXT, TEXT, NAMES, LINES),
    st.builds(wire.Create, TEXT, TEXT, TEXT, NAMES, LINES, st.integers(1, 65535)),
    st.builds(wire.Inspect, TEXT),
    st.builds(wire.Output, TEXT, st.integers(0, 100)),
    st.builds(
        wire.Attach,
        TEXT,
        TEXT,
        st.lists(st.builds(wire.Folder, TEXT, TEXT, st.booleans()), max_size=2).map(tuple),
    ),
    st.builds(wire.Freeze, TEXT),
    st.just(wire.Ping()),
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)


@st.composite
def almost_messages(draw: st.DrawFn) -> bytes:
    """The body of a frame: a request with one of its values exchanged, or a few of its bytes."""
    body = wire.to_json(draw(REQUESTS))
    if draw(st.booleans()):
        values = json.loads(body)
        values[draw(st.sampled_from(sorted(values)))] = draw(JSON)
        return json.dumps(values).encode()
    start = draw(st.integers(0, len(body)))
    end = draw(st.integers(start, min(len(body), start + 10)))
    return body[:start] + draw(st.binary(max_size=10)) + body[end:]


@st.composite
def streams(draw: st.DrawFn) -> bytes:
    """What a peer sends until it hangs up: anything, or a frame whose length is right, almost right or absurd."""
    if draw(st.integers(0, 3)) == 0:
        return draw(st.binary(max_size=300))
    body = draw(almost_messages() | st.binary(max_size=100))
    wrong = draw(st.sampled_from([0, 0, 0, 1, -1, 2**31]))
    return wire.HEADER.pack(max(0, len(body) + wrong)) + body + draw(st.sampled_from([b"", b"\x00", body]))
