"""CertificateStore: the fake and the real one refuse the same pairs; the real ones are good for TLS."""

from __future__ import annotations

import datetime
import ipaddress
import ssl
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from hubagent.adapters.files.store import LocalFileStore
from hubagent.adapters.machine.clock import SystemClock
from hubagent.adapters.net import x509
from hubagent.adapters.net.certificates import VALIDITY_DAYS, PemCertificateStore
from hubagent.errors import PreflightError, TemporaryError
from hubagent.ports import CertificateStore, FileStore
from tests.fakes import FakeCertificateStore, ManualClock, MemoryFileStore

_DAY_S = 86_400.0


@dataclass
class World:
    store: CertificateStore
    files: FileStore
    base: Path
    now: Callable[[], float]


@pytest.fixture(params=["fake", "real"])
def world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    if request.param == "fake":
        memory, clock = MemoryFileStore({"/tls/other": "text"}), ManualClock()
        return World(FakeCertificateStore(memory, clock), memory, Path("/tls"), clock.time)
    files = LocalFileStore()
    (tmp_path / "other").write_text("text")
    return World(PemCertificateStore(files, SystemClock()), files, tmp_path, time.time)


def test_a_new_pair_is_good_for_its_host(world: World) -> None:
    certificate, key = world.base / "crt", world.base / "key"
    world.store.create_self_signed(certificate, key, host="hub.example.org")
    facts = world.store.inspect(certificate, key)
    assert facts.names == ("hub.example.org",)
    assert facts.not_after_s - facts.not_before_s == pytest.approx(VALIDITY_DAYS * _DAY_S)
    assert facts.not_before_s <= world.now() < facts.not_after_s
    assert len(bytes.fromhex(facts.fingerprint_sha256)) == 32


def test_without_a_host_it_is_good_for_this_machine(world: World) -> None:
    certificate, key = world.base / "crt", world.base / "key"
    world.store.create_self_signed(certificate, key, host=None)
    assert {"localhost", "127.0.0.1"} < set(world.store.inspect(certificate, key).names)


def test_the_key_is_for_root_alone(world: World) -> None:
    certificate, key = world.base / "crt", world.base / "key"
    world.store.create_self_signed(certificate, key, host=None)
    states = [world.files.read(path, max_bytes=1 << 20) for path in (key, certificate)]
    assert [state.mode for state in states if state] == [0o600, 0o644]


def test_each_pair_is_another(world: World) -> None:
    seen = set()
    for name in ("1", "2"):
        world.store.create_self_signed(
            world.base / f"{name}.crt", world.base / f"{name}.key", host="h.example"
        )
        seen.add(
            world.store.inspect(world.base / f"{name}.crt", world.base / f"{name}.key").fingerprint_sha256
        )
    assert len(seen) == 2
    with pytest.raises(PreflightError, match=r"1\.crt: does not belong to the key in .*2\.key"):
        world.store.inspect(world.base / "1.crt", world.base / "2.key")


def test_a_request_has_a_new_key_each_time_that_is_for_root_alone(world: World) -> None:
    key = world.base / "key"
    first = world.store.create_request(key, names=("hub.example.org",))
    before = world.files.read(key, max_bytes=1 << 20)
    assert world.store.create_request(key, names=("hub.example.org",)) != first
    after = world.files.read(key, max_bytes=1 << 20)
    assert before is not None
    assert after is not None
    assert before.content != after.content
    assert (before.mode, after.mode) == (0o600, 0o600)


@pytest.mark.parametrize(
    ("certificate", "key", "message"),
    [
        ("absent", "key", "absent: is not there"),
        ("crt", "absent", "absent: is not there"),
        ("other", "key", "other: holds no readable PEM certificate"),
        ("key", "key", "key: holds no readable PEM certificate"),
        ("crt", "other", "other: holds no private key"),
        ("crt", "crt", "crt: holds no private key"),
    ],
)
def test_faults_name_the_file(world: World, certificate: str, key: str, message: str) -> None:
    world.store.create_self_signed(world.base / "crt", world.base / "key", host=None)
    with pytest.raises(PreflightError, match=message):
        world.store.inspect(world.base / certificate, world.base / key)


class TestReal:
    """What only real certificates can show."""

    @pytest.fixture
    def store(self) -> PemCertificateStore:
        return PemCertificateStore(LocalFileStore(), SystemClock())

    def test_a_request_is_for_its_names_and_signed_with_its_key(
        self, store: PemCertificateStore, tmp_path: Path
    ) -> None:
        request = store.create_request(tmp_path / "key", names=("a.example.org", "b.example.org"))
        assert "PRIVATE" not in request
        (tmp_path / "request").write_text(request)
        text = _openssl("req", "-in", tmp_path / "request", "-noout", "-text", "-verify").replace(" = ", "=")
        assert "DNS:a.example.org, DNS:b.example.org" in text
        public = _openssl("req", "-in", tmp_path / "request", "-noout", "-pubkey")
        assert public == _openssl("pkey", "-in", tmp_path / "key", "-pubout")

    def test_several_pairs_are_remembered(
        self, store: PemCertificateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """Each check looks at the self-signed pair and at those of an authority; a program for each would be slow."""
        for name in ("1", "2", "3"):
            store.create_self_signed(tmp_path / f"{name}.crt", tmp_path / f"{name}.key", host="h.example")
        pairs = [(tmp_path / f"{name}.crt", tmp_path / f"{name}.key") for name in ("1", "2", "3")]
        first = [store.inspect(*pair) for pair in pairs]
        monkeypatch.setattr(sys, "executable", "/usr/bin/false")
        assert [store.inspect(*pair) for pair in pairs] == first

    def test_browsers_rules_are_kept(self, store: PemCertificateStore, tmp_path: Path) -> None:
        store.create_self_signed(tmp_path / "crt", tmp_path / "key", host="hub.example.org")
        text = _openssl("x509", "-in", tmp_path / "crt", "-noout", "-text").replace(" = ", "=")
        for fact in (
            "Subject: CN=hub.example.org",
            "ASN1 OID: prime256v1",
            "DNS:hub.example.org",
            "TLS Web Server Authentication",
            "CA:FALSE",
        ):
            assert fact in text
        assert VALIDITY_DAYS <= 398

    @pytest.mark.parametrize("host", ["192.0.2.7", "2001:db8::7"])
    def test_an_address_is_an_address(self, store: PemCertificateStore, tmp_path: Path, host: str) -> None:
        store.create_self_signed(tmp_path / "crt", tmp_path / "key", host=host)
        names = store.inspect(tmp_path / "crt", tmp_path / "key").names
        assert [ipaddress.ip_address(name) for name in names] == [ipaddress.ip_address(host)]

    def test_a_long_name_fits(self, store: PemCertificateStore, tmp_path: Path) -> None:
        host = ".".join(["a" * 60] * 4)
        store.create_self_signed(tmp_path / "crt", tmp_path / "key", host=host)
        assert store.inspect(tmp_path / "crt", tmp_path / "key").names == (host,)

    def test_a_tls_server_takes_it(self, store: PemCertificateStore, tmp_path: Path) -> None:
        store.create_self_signed(tmp_path / "crt", tmp_path / "key", host=None)
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(tmp_path / "crt", tmp_path / "key")

    @pytest.mark.parametrize(
        "kind", [["rsa:2048"], ["ec", "-pkeyopt", "ec_paramgen_curve:P-384"], ["ed25519"]]
    )
    def test_other_kinds_of_keys_are_read(
        self, store: PemCertificateStore, tmp_path: Path, kind: list[str]
    ) -> None:
        _issue(tmp_path, kind, "-addext", "subjectAltName=DNS:a.example,DNS:*.b.example,IP:192.0.2.1")
        facts = store.inspect(tmp_path / "crt", tmp_path / "key")
        assert facts.names == ("a.example", "*.b.example", "192.0.2.1")
        printed = _openssl("x509", "-in", tmp_path / "crt", "-noout", "-fingerprint", "-sha256")
        assert facts.fingerprint_sha256 == printed.strip().partition("=")[2].replace(":", "").lower()

    def test_the_first_certificate_of_a_chain_counts(
        self, store: PemCertificateStore, tmp_path: Path
    ) -> None:
        _issue(tmp_path, ["ed25519"], "-addext", "subjectAltName=DNS:leaf.example")
        leaf = (tmp_path / "crt").read_text()
        store.create_self_signed(tmp_path / "ca", tmp_path / "ca.key", host="ca.example")
        (tmp_path / "crt").write_text(leaf + (tmp_path / "ca").read_text())
        assert store.inspect(tmp_path / "crt", tmp_path / "key").names == ("leaf.example",)

    def test_no_alternative_names_are_none(self, store: PemCertificateStore, tmp_path: Path) -> None:
        _issue(tmp_path, ["ed25519"])
        assert store.inspect(tmp_path / "crt", tmp_path / "key").names == ()

    def test_an_encrypted_key_says_how_to_decrypt_it(
        self, store: PemCertificateStore, tmp_path: Path
    ) -> None:
        _issue(tmp_path, ["rsa:2048"])
        _openssl("rsa", "-aes256", "-passout", "pass:x", "-in", tmp_path / "key", "-out", tmp_path / "locked")
        with pytest.raises(PreflightError, match=r"locked: the key is encrypted.*openssl pkey"):
            store.inspect(tmp_path / "crt", tmp_path / "locked")

    @pytest.mark.parametrize("keep", [0, 1, 60, 200])
    def test_a_cut_off_file_is_refused_without_showing_the_key(
        self, store: PemCertificateStore, tmp_path: Path, keep: int
    ) -> None:
        store.create_self_signed(tmp_path / "crt", tmp_path / "key", host=None)
        text = (tmp_path / "key").read_text()
        (tmp_path / "key").write_text(text[:keep])
        with pytest.raises(PreflightError, match="key: holds no private key") as caught:
            store.inspect(tmp_path / "crt", tmp_path / "key")
        assert not any(line in str(caught.value) for line in text.splitlines()[1:-1])
        (tmp_path / "crt").write_bytes((tmp_path / "crt").read_bytes()[:keep])
        with pytest.raises(PreflightError, match="crt: holds no readable PEM certificate"):
            store.inspect(tmp_path / "crt", tmp_path / "key")

    def test_a_folder_or_fifo_in_its_place_is_refused(
        self, store: PemCertificateStore, tmp_path: Path
    ) -> None:
        with pytest.raises(PreflightError, match="is a folder"):
            store.inspect(tmp_path, tmp_path)

    def test_no_deprecated_name_is_used(self) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            made = x509.make(["hub.example"], datetime.datetime.now(datetime.UTC), 9)
            pair = (str(made[name]).encode() for name in ("certificate", "key"))
            assert x509.inspect(*pair)["names"] == ["hub.example"]

    def test_python_without_its_library_says_what_to_reinstall(
        self, store: PemCertificateStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        store.create_self_signed(tmp_path / "crt", tmp_path / "key", host=None)
        bare = tmp_path / "python"
        bare.write_text(f'#!/bin/sh\nexec {sys.executable} -S "$@"\n')
        bare.chmod(0o755)
        monkeypatch.setattr(sys, "executable", str(bare))
        with pytest.raises(TemporaryError, match=r"No module named.*; reinstall python3-cryptography"):
            store.inspect(tmp_path / "crt", tmp_path / "key")


def _issue(folder: Path, kind: list[str], *more: str) -> None:
    files: list[str | Path] = ["-keyout", folder / "key", "-out", folder / "crt"]
    _openssl("req", "-x509", "-nodes", "-days", "9", "-subj", "/CN=x", "-newkey", *kind, *files, *more)


def _openssl(*arguments: str | Path) -> str:
    return subprocess.run(["openssl", *arguments], check=True, capture_output=True, text=True).stdout
