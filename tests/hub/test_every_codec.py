"""Every codec that the hub itself makes, found by listing; those of its files are the agent's as well."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubagent.codec import Codec
from tests import every_codec
from tests.documents import codecs

_FOUND = codecs("hubagent/hub")


@pytest.mark.parametrize("codec", _FOUND.values(), ids=_FOUND)
@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.data())
def test_what_is_written_is_read_and_all_else_is_named(codec: Codec[Any], data: st.DataObject) -> None:
    every_codec.check_that_it_reads_what_it_writes(codec, data)
    every_codec.check_that_it_names_what_is_wrong(codec, data)
    every_codec.check_that_it_names_what_is_missing_or_unknown(codec, data)
