"""What failed is tried again ever more rarely, up to a limit."""

from __future__ import annotations

from hubagent.backoff import Backoff


def test_each_failure_doubles_the_pause_up_to_a_limit() -> None:
    backoff = Backoff(first_s=1.0, most_s=3.0)
    assert [backoff.delay_s(failures) for failures in (1, 2, 3, 4)] == [1.0, 2.0, 3.0, 3.0]


def test_failures_without_end_are_no_error() -> None:
    assert Backoff(first_s=0.1, most_s=30.0).delay_s(10**9) == 30.0
