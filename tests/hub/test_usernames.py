"""User names of native accounts."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from hubagent.hub.usernames import normalise, problem


@given(st.text(max_size=80))
@example("İ")
@example("ǅ")
@example("ﬁ")
@example("\u1e9b\u0323")
def test_normalising_twice_changes_nothing_more(name: str) -> None:
    once = normalise(name)
    assert normalise(once) == once


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("Alice", "alice"),
        (" alice ", "alice"),
        ("A@B.C", "a@b.c"),
        ("\uff21lice", "alice"),
        ("Jose\u0301", "josé"),
    ],
)
def test_one_spelling(typed: str, stored: str) -> None:
    assert normalise(typed) == stored
    assert problem(stored) is None


@pytest.mark.parametrize("name", ["a", "o'brien@example.org", "анна", "王小明", "a-b_c.d+e", "2nd"])
def test_allowed(name: str) -> None:
    assert problem(normalise(name)) is None


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "Please give a user name."),
        ("a/b", "letters, digits and"),
        ("a b", "no spaces"),
        ("a\x00b", "letters, digits and"),
        ("a\nb", "letters, digits and"),
        ("a\u202eb", "letters, digits and"),
        ("a\u200bb", "letters, digits and"),
        ("a,b", "letters, digits and"),
        ("a\ud800b", "letters, digits and"),
        ("\ud800", "starts with a letter or a digit"),
        ("<script>", "starts with a letter or a digit"),
        ("a<b", "letters, digits and"),
        ("a{b}", "letters, digits and"),
        ("a%2fb", "letters, digits and"),
        ("..", "starts with a letter or a digit"),
        ("-rf", "starts with a letter or a digit"),
        ("a" * 101, "too long"),
        ("王" * 30, "too long"),
    ],
)
def test_refused_with_a_reason(name: str, message: str) -> None:
    assert message in str(problem(normalise(name)))


@given(st.text(max_size=120))
def test_what_is_allowed_fits_where_it_is_put(name: str) -> None:
    name = normalise(name)
    if problem(name) is None:
        assert len(f"jupyterhub-user-{quote(name)}") < 255  # a column, and a cookie's name
        assert not set(name) & set('/\\\0\n\r<>&"{}%;, ')
        assert name not in {".", ".."}
