"""A key that is set and taken back leaves nothing behind."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from hubagent.state.status import Result
from tests.fakes.certificates import certificate_text, key_text
from tests.unit.converge.world import HOSTS, World

OTHERS = [
    "",
    "tls: {mode: files, certificate: /etc/ssl/own.crt, key: /etc/ssl/own.key}\n",
    "hub: {admins: [ada], landing: /tree}\n",
    "hub: {authenticator: github, signup: open, stop_idle_after: 0}\n",
    "hub: {traits: {JupyterHub: {services: [{name: grader, api_token_file: /etc/token}]}}}\n",
    "hub: {database: 'postgresql://hub@db/hub', database_password_file: /etc/token}\n",
    "servers: {big: {memory: 16G, cpus: 4, environment: {A: b}, warm: {ready: 3}}}\n",
    "nginx: {max_body: 1G, websocket_drain: 1h}\n",
    "metrics: {listen: '127.0.0.1:9900'}\n",
    "apply: {disruptive: always, drift: warn}\n",
]
KEYS = ["", *(f"host: {host}\n" for host in HOSTS)]
CONFIGS = st.builds(str.__add__, st.sampled_from(KEYS), st.sampled_from(OTHERS))


def apply(world: World, text: str) -> dict[str, object]:
    """All that stands in the generation and in the status afterwards, but for what is drawn by lot."""
    text = text or "{}\n"
    world.edit(text)
    outcome = world.reconcile(allow_disruption=True)
    assert outcome.result in (Result.OK, Result.NOOP), outcome
    assert world.reconcile().result is Result.NOOP
    status = world.survey.status(world.reconcile())
    assert status.certificate is not None
    desired = world.generations.desired()
    assert desired is not None
    assert desired.source == text.encode() or outcome.result is Result.NOOP
    return {
        "url": status.url,
        "names": status.certificate.names,
        "self_signed": status.certificate.self_signed,
        "host": desired.host,
        "metrics": desired.metrics,
        "digest": desired.digest,
        "fingerprint": desired.certificate.fingerprint_sha256,
    }


def without(facts: dict[str, object], *names: str) -> dict[str, object]:
    return {name: value for name, value in facts.items() if name not in names}


def machine() -> World:
    """One that answers under every name here, with a certificate of its own for two of them."""
    world = World("{}\n")
    world.files.put("/etc/ssl/own.crt", certificate_text(*HOSTS, "localhost", key="own").decode())
    world.files.put("/etc/ssl/own.key", key_text("own").decode())
    world.files.put("/etc/token", "a-token-of-32-characters-0123456")
    return world


@settings(deadline=None, max_examples=30)
@given(CONFIGS, CONFIGS)
def test_there_and_back_is_as_before_to_the_byte(one: str, other: str) -> None:
    world = machine()
    before = apply(world, one)
    apply(world, other)
    assert apply(world, one) == before


@settings(deadline=None, max_examples=20)
@given(st.lists(CONFIGS, min_size=1, max_size=4), CONFIGS)
def test_whatever_was_before_the_facts_are_those_of_a_new_machine(before: list[str], text: str) -> None:
    world = machine()
    for one in before:
        apply(world, one)
    lots = ("digest", "fingerprint")  # a self-signed certificate is made with a new key
    assert without(apply(world, text), *lots) == without(apply(machine(), text), *lots)
    names = [path for path in world.files.list_dir(world.layout.tls) if not path.startswith(".")]
    assert len(names) <= 4


def test_a_name_that_is_taken_back_is_not_shown_any_more() -> None:
    world = machine()
    first = apply(world, "")
    named = apply(world, "host: hub.example.org\n")
    assert named["names"] == ("hub.example.org",)
    assert apply(world, "") == first
    assert first["url"] == "https://machine/"


def test_what_is_taken_back_finds_its_certificate_untouched() -> None:
    world = machine()
    apply(world, "host: hub.example.org\n")
    before = {
        name: world.files.read(world.layout.tls / name, max_bytes=2**20)
        for name in world.files.list_dir(world.layout.tls)
    }
    world.nginx_loads = False
    world.edit("host: other.example.org\n")
    assert world.reconcile().result is Result.ROLLED_BACK
    after = {name: world.files.read(world.layout.tls / name, max_bytes=2**20) for name in before}
    assert after == before
    world.edit("host: hub.example.org\n")
    assert world.reconcile().result is Result.NOOP
