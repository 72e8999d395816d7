"""Names: users never share a container or a volume, and Docker takes every name."""

from __future__ import annotations

import re

from hypothesis import example, given
from hypothesis import strategies as st

from hubagent.naming import MAX_ESCAPED, container_name, escape, volume_name

NAMES = st.text(min_size=1, max_size=60) | st.text("ab-_.@2d", min_size=1, max_size=8)
LONG = st.text("a-é@", min_size=100, max_size=300)
PATTERN = "jupyterhub-user-{username}"


@given(NAMES, NAMES)
@example("a-b", "a-2db")
@example("a@b.c", "a-40b-2ec")
@example("A-b", "a-b")
@example("user_2Dname", "user-name")
@example("é", "é")
def test_different_users_have_different_volumes(one: str, other: str) -> None:
    assert (volume_name(PATTERN, one) == volume_name(PATTERN, other)) == (one == other)


@given(LONG, LONG)
@example("a" * 200 + "b", "a" * 200 + "c")
def test_also_with_long_names(one: str, other: str) -> None:
    assert (escape(one) == escape(other)) == (one == other)


@given(NAMES, NAMES, NAMES, NAMES)
@example("a", "b", "a--b", "")
@example("a-", "b", "a", "-b")
@example("x" * 300, "", "x", "x")
def test_different_servers_have_different_containers(
    user: str, name: str, other: str, other_name: str
) -> None:
    same = container_name(user, name) == container_name(other, other_name)
    assert same == ((user, name) == (other, other_name))


@given(NAMES | LONG, st.just("") | NAMES)
def test_docker_takes_every_name(user: str, name: str) -> None:
    for result in (volume_name(PATTERN, user), container_name(user, name)):
        assert re.fullmatch(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+", result)
        assert len(result) <= 255


@given(NAMES | LONG)
def test_a_long_name_is_bounded_and_cannot_be_another_ones_short_one(user: str) -> None:
    escaped = escape(user)
    assert len(escaped) <= MAX_ESCAPED
    assert "--" not in escaped
    if "_" in escaped:
        assert len(escaped) == MAX_ESCAPED


def test_an_ordinary_name_stays_readable() -> None:
    assert volume_name(PATTERN, "alice") == "jupyterhub-user-alice"
    assert container_name("a@b.c", "") == "jupyter-a-40b-2ec"
