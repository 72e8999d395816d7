"""Keys that are accepted, but not acted on yet."""

from __future__ import annotations

from hubagent.config.notices import not_yet
from tests.unit.config.reading import read


def test_keys_that_wait_are_named() -> None:
    config = read(
        "host: hub.example.org\ntls: {mode: letsencrypt, email: a@example.org}\n"
        "servers: {a: {build: {}}, b: {warm: {}}, c: {}}\n"
    )
    assert [notice.key for notice in not_yet(config)] == ["tls.mode", "servers.a.build", "servers.b.warm"]


def test_a_notice_is_one_line_for_log_and_check() -> None:
    (notice,) = not_yet(read("servers: {a: {image: x/y, build: {}}}"))
    assert (
        str(notice)
        == "servers.a.build: images are not built yet; x/y must be on this machine (docker build or docker"
        " pull)"
    )


def test_what_is_served_is_not_named() -> None:
    assert not_yet(read("servers: {a: {image: x/y}}")) == ()
