"""What the hub's pages say of when a server is stopped."""

from __future__ import annotations

import pytest

from hubagent.hub.idle import idle_notice


@pytest.mark.parametrize(
    ("stop_s", "busy_s", "said"),
    [
        (1800, 28800, "nobody uses for 30 minutes is stopped; files stay, variables are lost"),
        (1800, 28800, "a cell that computes, with its page closed too, for 8 hours at most"),
        (60, 5400, "for 1 minute is stopped"),
        (60, 5400, "for 90 minutes at most"),
        (86400, 172800, "for 1 day is stopped"),
        (1800, 0, "with the page closed, a cell that computes does not"),
    ],
)
def test_it_says_what_counts_and_for_how_long(stop_s: float, busy_s: float, said: str) -> None:
    assert said in idle_notice(stop_s, busy_s)


def test_it_says_nothing_where_servers_are_never_stopped() -> None:
    assert idle_notice(0, 28800) == ""
