"""What is said of a valid file."""

from __future__ import annotations

from hubagent.config.advice import advice
from tests.unit.config.reading import read


def test_pam_without_root_is_explained() -> None:
    (notice,) = advice(read("hub: {authenticator: pam}"))
    assert str(notice).startswith("hub.authenticator: the hub is no root")
    assert "authenticator: native" in notice.message


def test_nothing_is_said_of_accounts_of_the_hub() -> None:
    assert advice(read("hub: {authenticator: native}")) == ()
