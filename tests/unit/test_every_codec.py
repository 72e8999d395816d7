"""Every codec of the agent, the helper and the guest, found by listing."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubagent.codec import Codec
from tests import every_codec
from tests.documents import JSON, codecs

_FOUND = codecs("hubagent", without=("hub",))

some = settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
each = pytest.mark.parametrize("codec", _FOUND.values(), ids=_FOUND)


def test_the_listing_finds_messages_and_files() -> None:
    names = " ".join(_FOUND)
    assert "hubagent.wire.messages.BY_NAME[Claim]" in names


@each
@some
@given(st.data())
def test_what_is_written_is_read(codec: Codec[Any], data: st.DataObject) -> None:
    every_codec.check_that_it_reads_what_it_writes(codec, data)


@each
@some
@given(st.data())
def test_what_is_wrong_is_named(codec: Codec[Any], data: st.DataObject) -> None:
    every_codec.check_that_it_names_what_is_wrong(codec, data)


@each
@some
@given(st.data())
def test_what_is_missing_or_unknown_is_named(codec: Codec[Any], data: st.DataObject) -> None:
    every_codec.check_that_it_names_what_is_missing_or_unknown(codec, data)


@each
@some
@given(st.binary(max_size=100) | JSON.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_read_or_refused(codec: Codec[Any], content: bytes) -> None:
    every_codec.check_that_any_bytes_are_refused(codec, content)
