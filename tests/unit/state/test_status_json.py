"""The document of `status --json`: stable keys, and back again."""

from __future__ import annotations

import dataclasses
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hubagent.state.status import Status
from hubagent.state.status_json import from_json, to_json, without_people
from tests.unit.web import samples

KEYS = {
    "format", "degraded", "version", "pid", "looks", "looked_at_s", "result", "url", "config_sha256",
    "config_errors", "config_accepted_at_s", "generation", "candidate", "quarantined_sha256", "components",
    "problems", "steps", "pending", "pending_changes", "certificate", "servers", "images", "pools", "figures", "dbus_up", "docker_up",
    "disk_free_bytes", "last_failure", "last_failure_at_s",
}  # fmt: skip


@pytest.mark.parametrize("status", [samples.healthy(), samples.degraded(), samples.refused()])
def test_round_trip_through_text(status: Status) -> None:
    assert from_json(json.loads(json.dumps(to_json(status)))) == status


@given(st.from_type(Status))
def test_round_trip_of_any_status(status: Status) -> None:
    # By what they print: a NaN is not equal to itself, and prints the same.
    assert repr(from_json(json.loads(json.dumps(to_json(status))))) == repr(status)


def test_keys_are_those_promised() -> None:
    document = to_json(samples.degraded())
    assert set(document) >= KEYS
    assert document["format"] == 1
    assert document["degraded"] is True
    assert document["result"] == "rolled_back"
    assert document["problems"][0]["component"] == "nginx"
    assert document["problems"][0]["reason"] == "verify"
    assert document["pending"][0] == {
        "component": "proxy",
        "verb": "restart",
        "level": 4,
        "reason": "the proxy's error page has moved",
    }
    assert document["figures"]["hub_users"] == 183
    assert document["candidate"] == 43


def test_a_newer_document_with_more_keys_is_read() -> None:
    document = to_json(samples.healthy())
    document["invented_later"] = [1]
    document["figures"]["invented_later"] = 1
    assert from_json(document) == samples.healthy()


def test_an_older_document_with_fewer_keys_is_read() -> None:
    document = to_json(samples.healthy())
    del document["figures"]["proxy_open_files"]
    del document["disk_free_bytes"]
    status = from_json(document)
    assert status.disk_free_bytes is None
    assert status.figures.proxy_open_files is None
    assert status.generation == 42


@pytest.mark.parametrize(
    "change",
    [
        {"format": 2},
        {"format": None},
        {"pid": "812"},
        {"pid": True},
        {"components": "nginx"},
        {"components": [1]},
        {"result": "splendid"},
        {"certificate": []},
        {"figures": None},
        {"url": 5},
    ],
)
def test_what_does_not_fit_is_one_clear_error(change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=rf"^{next(iter(change))}\b"):
        from_json(to_json(samples.healthy()) | change)


def test_required_keys_are_required() -> None:
    document = to_json(samples.healthy())
    del document["pid"]
    with pytest.raises(ValueError, match="pid"):
        from_json(document)


def test_without_people_keeps_everything_else() -> None:
    status = samples.healthy()
    shown = without_people(status)
    assert {(server.user, server.container) for server in shown.servers} == {("", "")}
    assert [server.stale for server in shown.servers] == [server.stale for server in status.servers]
    assert dataclasses.replace(shown, servers=status.servers) == status
