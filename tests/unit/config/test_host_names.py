"""What is said of a name before people are sent to it."""

from __future__ import annotations

from collections.abc import Mapping

import pytest

from hubagent.config.reading.advice import judge_host


@pytest.mark.parametrize(
    ("host", "addresses", "said"),
    [
        (None, {}, None),
        ("hub.example.org", {"192.0.2.1": True}, None),
        ("hub.example.org", {"192.0.2.1": True, "2001:db8::1": False}, None),
        ("hub.example.org", {"203.0.113.5": False}, "resolves to 203.0.113.5, which is not this machine"),
        (
            "hub.example.org",
            {},
            "has no DNS entry that this machine can see, and other names and addresses will get no",
        ),
        ("hub.example.org", None, "could not look up hub.example.org"),
    ],
)
def test_where_a_name_leads(host: str | None, addresses: Mapping[str, bool] | None, said: str | None) -> None:
    notice = judge_host(host, addresses)
    assert (notice is None) == (said is None)
    if notice is not None:
        assert notice.key == "host"
        assert str(said) in notice.message
