"""Whether another build is installed than the one that runs."""

from __future__ import annotations

import pytest

from hubagent.converge.observe import Release, behind, parse_release

A, B = "a" * 64, "b" * 64


@pytest.mark.parametrize(
    "text", ["", "1.0", f"1.0 {A[:-1]}", f"1.0  {A}", f"1 0 {A}", f"1.0 {A} x", f"; {A}"]
)
def test_what_is_no_release_is_none(text: str) -> None:
    assert parse_release(text) is None


def test_a_line_is_version_and_hash() -> None:
    assert parse_release(f"1.0~rc1 {A}\n") == Release("1.0~rc1", A)


@pytest.mark.parametrize(
    ("running", "installed", "words"),
    [
        (Release("1.0", A), Release("1.0", A), ""),
        (Release("0.9", A), Release("1.0", A), ""),  # nothing but the number is new
        (Release("0.9", B), Release("1.0", A), "runs 0.9, 1.0 is installed"),
        (Release("1.0", B), Release("1.0", A), "runs an older build than the installed 1.0"),
        (None, Release("1.0", A), "runs an older build than the installed 1.0"),
        (Release("0.9", B), Release("1.1", A), ""),  # not the agent's own: an upgrade is under way
        (Release("1.0", A), None, ""),
    ],
)
def test_only_other_programs_of_the_agents_version_count(
    running: Release | None, installed: Release | None, words: str
) -> None:
    assert behind(running, installed, agent_version="1.0") == words
