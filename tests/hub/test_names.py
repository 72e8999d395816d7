"""Names are those that DockerSpawner gives, so that homes from before hubagent are found."""

from __future__ import annotations

import string

from escapism import escape as escapism
from hypothesis import example, given
from hypothesis import strategies as st

from hubagent.naming import MAX_ESCAPED, escape


@given(st.text(max_size=30))
@example("a@b.c")
@example("tab\tand\nline")
@example("Ünïcode-and_more")
def test_names_are_escaped_as_dockerspawner_does(text: str) -> None:
    expected = escapism(text, set(string.ascii_lowercase + string.digits), escape_char="-").lower()
    if len(expected) <= MAX_ESCAPED:
        assert escape(text) == expected
