"""Rules over several keys, and where they point."""

from __future__ import annotations

import pytest

from tests.unit.config.reading import faults, read

HASH = "$2y$10$" + "a" * 53

BROKEN = {
    "tls:\n  mode: files\n": [
        "2:9: tls.mode: files needs certificate; write tls.certificate, or choose another mode",
        "2:9: tls.mode: files needs key; write tls.key, or choose another mode",
    ],
    "tls:\n  certificate: /c\n": [
        "2:16: tls.certificate: is only used with mode: files; set tls.mode to that, or remove the line"
    ],
    "tls: {mode: letsencrypt, email: a@example.org}\n": [
        "1:13: tls.mode: letsencrypt needs `host`, the name to certify; write host: hub.example.org with this server's"
        " DNS name (no authority certifies an address), or mode: self-signed"
    ],
    "host: hub\ntls: {mode: letsencrypt}\n": [
        "1:7: host: hub has no dot, so no authority can certify it; write this server's full DNS name, such as"
        " hub.example.org, or tls.mode: self-signed"
    ],
    "host: 192.0.2.7\ntls: {mode: letsencrypt}\n": [
        '1:7: host: "192.0.2.7" is not a host name; an IP address needs no `host`: remove the line, and every name and'
        " address is served"
    ],
    "host: hub.example.org\ntls: {mode: letsencrypt, certificate: /c}\n": [
        "2:39: tls.certificate: is only used with mode: files; set tls.mode to that, or remove the line"
    ],
    "tls: {mode: self-signed, email: a@example.org}\n": [
        "1:33: tls.email: is only used with mode: letsencrypt; set tls.mode to that, or remove the line"
    ],
    "hub: {database_password_file: /p}\n": [
        "1:31: hub.database_password_file: sqlite has no password; remove the line, or write"
        " hub.database: postgresql://USER@HOST/NAME"
    ],
    "hub: {database: postgresql://db/hub, database_password_file: /p}\n": [
        "1:17: hub.database: names no user for the password; write postgresql://USER@HOST/NAME"
    ],
    "servers: {j: {home: /h, mounts: [{from: /srv/a, to: /h}, {from: /srv/a, to: /x}, {from: /srv/b, to: /x}]}}\n": [
        "1:53: servers.j.mounts[0].to: is where the home is; choose a folder in it or beside it",
        "1:101: servers.j.mounts[2].to: has a mount already; choose another folder",
    ],
    "hub: {traits: {DockerSpawner: {extra_host_config: {privileged: true, shm_size: 1G, pid_mode: host}}}}\n": [
        "1:32: hub.traits.DockerSpawner.extra_host_config: pid_mode cannot be added to containers: every"
        " container keeps namespaces of its own; remove it",
        "1:32: hub.traits.DockerSpawner.extra_host_config: privileged cannot be added to containers: it would"
        " give users rights on this machine; remove it",
    ],
    "hub: {traits: {DockerSpawner: {extra_create_kwargs: {labels: {hubagent.user: eve}, volumes: [/]}}}}\n": [
        "1:32: hub.traits.DockerSpawner.extra_create_kwargs: volumes cannot be added to containers: declare"
        " folders in servers.NAME.mounts",
        "1:32: hub.traits.DockerSpawner.extra_create_kwargs: labels is not a mapping of names to texts, or a"
        " name begins with hubagent.",
    ],
    "hub: {traits: {DockerSpawner: {extra_host_config: 7}}}\n": [
        "1:32: hub.traits.DockerSpawner.extra_host_config: this value is not accepted: a mapping is expected"
    ],
    "servers: {j: {warm: {ready: 5, max: 4}}}\n": [
        "1:29: servers.j.warm.ready: 5 is more than max (4); raise warm.max or lower it"
    ],
    'servers: {j: {warm: {schedule: [{days: mon, from: "09:00", to: "08:00", ready: 41}]}}}\n': [
        (
            "1:64: servers.j.warm.schedule[0].to: 08:00 is not after 09:00; a lecture ends on the day it"
            " starts: write two lines"
        ),
        "1:80: servers.j.warm.schedule[0].ready: 41 is more than max (40); raise warm.max or lower it",
    ],
    "servers: {a: {build: {}}, b: {build: {apt: [ffmpeg]}}}\n": [
        "1:27: servers.b.image: hubagent/julia is built by servers.a too, in another way; write an image name"
        " of its own"
    ],
    f"servers: {{a: {{build: {{}}, image: 'x@sha256:{'0' * 64}'}}}}\n": [
        "1:33: servers.a.image: an image that is built here has no digest; write name or name:tag"
    ],
    "metrics: {listen: 0.0.0.0:9811}\n": [
        "1:19: metrics.listen: 0.0.0.0:9811 can be reached by others; write metrics.tls and metrics.users,"
        " or listen on 127.0.0.1"
    ],
    f"metrics: {{listen: '[::]:9811', users: {{a: '{HASH}'}}}}\n": [
        "1:19: metrics.listen: [::]:9811 can be reached by others; write metrics.tls, or listen on 127.0.0.1"
    ],
    "apply: {disruptive: window}\n": [
        '1:21: apply.disruptive: window needs apply.window; write window: "03:00-05:00"'
    ],
}


@pytest.mark.parametrize("text", BROKEN)
def test_a_broken_rule_points_at_the_key(text: str) -> None:
    assert faults(text) == BROKEN[text]


@pytest.mark.parametrize(
    "text",
    [
        "tls: {mode: files, certificate: /c, key: /k}",
        "hub: {database: 'postgresql://u@[::1]:5432/hub', database_password_file: /p}",
        "hub: {database: 'postgresql:///hub'}",
        "servers: {j: {home: /h, mounts: [{from: /srv/a, to: /h/a}, {from: /srv/a, to: /x}]}}",
        "servers: {a: {build: {}}, b: {build: {}}, c: {}}",
        "servers: {j: {warm: {ready: 4, max: 4}}}",
        "metrics: {listen: '127.1.2.3:1'}",
        "metrics: {listen: '[::1]:65535'}",
        f"metrics: {{listen: '0.0.0.0:9811', users: {{a: '{HASH}'}}, tls: {{certificate: /c, key: /k}}}}",
        "apply: {disruptive: window, window: 23:00-02:00}",
    ],
)
def test_what_keeps_the_rules_is_accepted(text: str) -> None:
    read(text)


def test_a_rule_waits_until_the_keys_it_looks_at_are_right() -> None:
    assert faults("tls: {mode: files, certificate: c, key: /k}") == [
        '1:33: tls.certificate: "c" is not an absolute path; start it with /'
    ]


def test_other_rules_do_not_wait() -> None:
    messages = faults("host: -a\napply: {disruptive: window}\n")
    assert [message.split(": ")[1] for message in messages] == ["host", "apply.disruptive"]
