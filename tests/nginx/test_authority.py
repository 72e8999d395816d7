"""The real certbot and a real ACME authority, which fetches its challenge through the real nginx."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.machine.clock import SystemClock
from hubagent.adapters.net import certbot
from hubagent.adapters.net.certificates import PemCertificateStore
from hubagent.certificates import faults, pairs
from hubagent.certificates.messages import Answer, Request
from tests.nginx.client import ask
from tests.nginx.front import HOST, Front, Pair, free_ports, front_in_own_folder, site_in
from tests.nginx.tools import DEBIAN_NGINX
from tests.pebble import Pebble, pebble

CHALLENGES = "/.well-known/acme-challenge/"


class Course:
    """A server with nginx in front, an authority, and a certificate to get."""

    def __init__(self, front: Front, pair: Pair, authority: Pebble, http_port: int) -> None:
        self.front = front
        self.authority = authority
        self.store = PemCertificateStore(LocalFileStore(), SystemClock())
        self.key = front.folder / "next.key"
        self.state = front.folder / "certbot"
        _, https_port = free_ports(2)
        self.site = front.start(
            replace(site_in(front, pair, 9), http_port=http_port, https_port=https_port, self_signed=True)
        )

    def obtain(
        self, *, program: Path = certbot.CERTBOT, email: str | None = None, directory: str = ""
    ) -> Answer:
        csr = self.store.create_request(self.key, names=(HOST,))
        webroot = str(self.front.folder / "acme")
        request = Request(csr, directory or self.authority.directory, email, webroot)
        return certbot.obtain(request, program=program, state=self.state)

    def words(self, answer: Answer) -> str:
        directory = self.authority.directory
        return faults.fault(answer, names=(HOST,), directory=directory, failures=1, now_s=0.0).message


@pytest.fixture(scope="module")
def course(pair: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Course]:
    http_port, *others = free_ports(5)
    one, two, three, four = others
    folder = tmp_path_factory.mktemp("pebble")
    with (
        front_in_own_folder(DEBIAN_NGINX) as front,
        pebble(folder, http_port=http_port, ports=(one, two, three, four)) as authority,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setenv("REQUESTS_CA_BUNDLE", str(authority.root))
        yield Course(front, pair, authority, http_port)


def test_a_certificate_comes_through_nginx_and_is_the_agents_with_its_key(course: Course) -> None:
    answer = course.obtain(email="admin@example.org")
    assert answer.chain.count("BEGIN CERTIFICATE") >= 2, answer
    certificate = course.front.folder / "next.crt"
    certificate.write_text(answer.chain)
    facts = course.store.inspect(certificate, course.key)
    assert pairs.serves(facts, (HOST,), now_s=SystemClock().time())
    assert f'"GET {CHALLENGES}' in course.front.access_log.read_text()
    site = replace(
        course.site, certificate=certificate, key=course.key, certificate_sha256=facts.fingerprint_sha256
    )
    course.front.switch(site)
    assert "strict-transport-security" not in ask(site.https_port, "/-/hubagent", host=HOST).headers
    course.front.switch(course.site)


def test_certbot_keeps_an_account_and_nothing_that_could_be_renewed_behind_the_agents_back(
    course: Course,
) -> None:
    assert course.obtain().chain
    kept = [path for path in course.state.rglob("*") if path.is_file()]
    assert {path.relative_to(course.state).parts[0] for path in kept} == {"accounts"}
    assert all(path.stat().st_mode & 0o077 == 0 for path in kept if path.name == "private_key.json")
    challenges = course.front.folder / "acme" / CHALLENGES.strip("/")
    assert not challenges.is_dir() or list(challenges.iterdir()) == []


def test_the_port_for_challenges_serves_no_other_file(course: Course, tmp_path: Path) -> None:
    """Whoever has taken over certbot makes a link there, and nginx could read what it leads to."""
    folder = course.front.folder / "acme" / CHALLENGES.strip("/")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "link").symlink_to("/etc/hostname")
    (folder / "folder").symlink_to("/etc")
    try:
        for path in ("link", "folder/hostname"):
            answer = ask(course.site.http_port, CHALLENGES + path, host=HOST, tls=False)
            assert answer.status in (403, 404)
    finally:
        (folder / "link").unlink()
        (folder / "folder").unlink()


def test_a_name_without_an_address_is_told(course: Course) -> None:
    course.authority.point("")
    try:
        answer = course.obtain()
    finally:
        course.authority.point("127.0.0.1")
    assert not answer.chain
    assert HOST in course.words(answer)
    assert "DNS" in course.words(answer)


def test_a_port_where_nobody_listens_is_told(course: Course) -> None:
    course.authority.point(
        "127.0.0.2"
    )  # nobody listens there: nginx does, on every address, so a port is closed
    course.front.switch(replace(course.site, http_port=free_ports(1)[0]))
    try:
        answer = course.obtain()
    finally:
        course.front.switch(course.site)
        course.authority.point("127.0.0.1")
    assert [one.kind for one in answer.problems] == ["connection"]
    assert f"could not reach port 80 of {HOST}" in course.words(answer)


def test_another_server_that_answers_is_told(course: Course) -> None:
    course.front.switch(replace(course.site, acme_webroot=None))
    try:
        answer = course.obtain()
    finally:
        course.front.switch(course.site)
    assert answer.problems, answer
    assert "another server than this one answered" in course.words(answer) or "TLS" in course.words(answer)


def test_an_authority_that_is_away_is_told(course: Course) -> None:
    answer = course.obtain(directory=f"https://localhost:{free_ports(1)[0]}/dir")
    assert (answer.chain, answer.problems) == ("", ())
    assert "Connection refused" in course.words(answer)


def test_an_authority_that_has_forgotten_the_account_gets_a_new_one_at_the_next_try(course: Course) -> None:
    assert course.obtain().chain
    course.authority.stop()
    course.authority.start()
    answer = course.obtain()
    assert [one.kind for one in answer.problems] == ["accountDoesNotExist"]
    assert "the next try makes a new one" in course.words(answer)
    assert course.obtain().chain


def test_an_authority_that_this_machine_does_not_trust_is_told(
    course: Course, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/ssl/certs/ca-certificates.crt")
    assert "update-ca-certificates" in course.words(course.obtain())


def test_a_machine_without_certbot_is_told(course: Course) -> None:
    assert "apt install certbot" in course.words(course.obtain(program=Path("/usr/bin/absent")))


def test_values_are_no_options(course: Course, tmp_path: Path) -> None:
    """The grammar of the file lets none of these through; they would do nothing if it did."""
    course.obtain(email=f"--config-dir={tmp_path / 'elsewhere'}")
    assert os.listdir(tmp_path) == []
