"""Keys that are accepted, but not acted on yet."""

from __future__ import annotations

from hubagent.config.notices import not_yet
from tests.unit.config.reading import read

_LETSENCRYPT = "host: hub.example.org\ntls: {mode: letsencrypt, email: a@example.org}\n"


def test_keys_that_wait_are_named() -> None:
    assert [notice.key for notice in not_yet(read(_LETSENCRYPT))] == ["tls.mode"]


def test_a_notice_is_one_line_for_log_and_check() -> None:
    (notice,) = not_yet(read(_LETSENCRYPT))
    assert str(notice) == (
        "tls.mode: letsencrypt is not built in yet; the self-signed certificate is served meanwhile"
    )


def test_what_is_served_is_not_named() -> None:
    assert not_yet(read("servers: {a: {image: x/y, build: {}, warm: {}}}")) == ()
