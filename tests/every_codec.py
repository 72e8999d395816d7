"""What holds of each codec, however many there will be."""

from __future__ import annotations

import contextlib
import json
from typing import Any

import pytest
from hypothesis import strategies as st

from hubagent.codec import Codec, CodecError
from tests.documents import JSON, places, values

_WRONG = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | JSON


def check_that_it_reads_what_it_writes(codec: Codec[Any], data: st.DataObject) -> None:
    value = data.draw(values(codec.kind))
    assert codec.loads(codec.dumps(value)) == value


def check_that_it_names_what_is_wrong(codec: Codec[Any], data: st.DataObject) -> None:
    """Another value anywhere is taken, or refused by its path; nothing else is ever raised."""
    document = json.loads(codec.dumps(data.draw(values(codec.kind))))
    found = [place for place in places(document) if _is_spelt_as_it_is(place[0])]
    if not found:
        return
    path, holder, key = data.draw(st.sampled_from(found))
    holder[key] = data.draw(_WRONG)
    try:
        codec.typed(document)
    except CodecError as error:
        assert error.path.startswith(path.replace(".[", "["))  # as an index would be


def check_that_it_names_what_is_missing_or_unknown(codec: Codec[Any], data: st.DataObject) -> None:
    document = json.loads(codec.dumps(data.draw(values(codec.kind))))
    if isinstance(document, dict) and document:
        key = data.draw(st.sampled_from(sorted(document)))
        less = {name: value for name, value in document.items() if name != key}
        try:
            codec.typed(less)
        except CodecError as error:
            assert (error.path, error.problem) == (key, "missing")
        more = {**document, "of another version": 1}
        if codec.strict:
            with pytest.raises(CodecError, match="unknown key") as refused:
                codec.typed(more)
            assert refused.value.path == "of another version"
        elif hasattr(codec.kind, "__dataclass_fields__"):
            assert codec.typed(more) == codec.typed(document)


def check_that_any_bytes_are_refused(codec: Codec[Any], content: bytes) -> None:
    with contextlib.suppress(CodecError):
        codec.loads(content)


def _is_spelt_as_it_is(path: str) -> bool:
    """Longer keys are cut off in a message."""
    return path.isprintable() and len(path) <= 40
