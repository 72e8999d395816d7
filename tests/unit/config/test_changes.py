"""Differences between two configurations."""

from __future__ import annotations

import pytest

from hubagent.config.made.changes import Change, changes, flow
from hubagent.config.model import Config
from tests.unit.config.reading import read

ONE_HASH = "$2y$10$" + "a" * 53
OTHER_HASH = "$2y$10$" + "b" * 53


def differences(old: str, new: str) -> list[tuple[str, str, str]]:
    return [(change.key, change.old, change.new) for change in changes(read(old), read(new))]


def test_nothing_differs_from_itself() -> None:
    assert changes(Config(), Config()) == ()


def test_spelling_is_no_change() -> None:
    assert differences("nginx: {max_body: 1G}\nhub: {}", "# better\nnginx: {max_body: 1024M}") == []


def test_a_change_names_key_old_and_new() -> None:
    assert changes(read("nginx: {max_body: 100m}"), read("nginx: {max_body: 200m}")) == (
        Change("nginx.max_body", "100M", "200M"),
    )


def test_values_are_in_yaml_notation() -> None:
    assert differences(
        "{}", "host: a.example.org\nhub: {admins: [a, b], ask_email: false, stop_idle_after: 0}"
    ) == [
        ("host", "not set", "a.example.org"),
        ("hub.admins", "[admin]", "[a, b]"),
        ("hub.ask_email", "true", "false"),
        ("hub.stop_idle_after", "30m", "0"),
    ]


def test_maps_differ_by_their_keys() -> None:
    old = "servers: {j: {environment: {A: x, B: y}, warm: {kernels: {julia: 1}}}}"
    new = "servers: {j: {environment: {B: z, C: ''}, warm: {kernels: {julia: 2}}}}"
    assert differences(old, new) == [
        ("servers.j.environment.A", "x", "not set"),
        ("servers.j.environment.B", "y", "z"),
        ("servers.j.environment.C", "not set", '""'),
        ("servers.j.warm.kernels.julia", "1", "2"),
    ]


def test_sections_that_come_and_go() -> None:
    assert differences("servers: {j: {}}", "servers: {j: {warm: {max: 9}}}") == [
        (
            "servers.j.warm",
            "not set",
            "{ready: 2, max: 9, pluto: true, max_age: 6h, schedule: []}",
        )
    ]


def test_servers_that_come_go_and_move() -> None:
    found = differences("servers: {a: {}, b: {}, c: {}}", "servers: {d: {}, c: {}, a: {}}")
    assert [key for key, _, _ in found] == ["servers.b", "servers.d", "servers"]
    assert found[0][2] == found[1][1] == "not set"
    assert found[2][1:] == ("[a, b, c]", "[d, c, a]")


def test_secrets_are_masked() -> None:
    old = (
        f"metrics: {{users: {{a: '{ONE_HASH}'}}}}\n"
        "servers: {j: {environment: {API_TOKEN: first, PLAIN: x}}}\n"
    )
    new = (
        f"metrics: {{users: {{a: '{OTHER_HASH}', b: '{ONE_HASH}'}}}}\nservers: {{j: {{environment:"
        " {API_TOKEN: second, PLAIN: x}}, k: {environment: {PASSWORD: third}}}\n"
    )
    found = differences(old, new)
    assert found[:1] == [("servers.j.environment.API_TOKEN", "(secret)", "(secret) (changed)")]
    assert found[2:] == [
        ("metrics.users.a", "(secret)", "(secret) (changed)"),
        ("metrics.users.b", "not set", "(secret)"),
    ]
    for secret in ("first", "second", "third", ONE_HASH, OTHER_HASH):
        assert secret not in repr(found)


def test_secrets_inside_traits_are_masked() -> None:
    old = "hub: {traits: {A: {params: {api_key: first, list: [{password: second}], open: 1}}}}"
    new = old.replace("open: 1", "open: 2")
    (change,) = changes(read(old), read(new))
    assert change.key == "hub.traits.A.params"
    assert change.new == "{api_key: (secret), list: [{password: (secret)}], open: 2}"


def test_traits_differ_by_trait() -> None:
    old = "hub: {traits: {A: {x: 1, y: [1]}}}"
    new = "hub: {traits: {A: {x: 1, y: [1, 2]}, B: {z_file: /a}}}"
    assert differences(old, new) == [
        ("hub.traits.A.y", "[1]", "[1, 2]"),
        ("hub.traits.B.z_file", "not set", "/a"),
    ]


def test_only_data_has_a_notation() -> None:
    with pytest.raises(TypeError):
        flow({"a": object()})
