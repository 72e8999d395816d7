"""Certificates without cryptography: short texts that say what they certify."""

from __future__ import annotations

import hashlib
import itertools
import json
from pathlib import Path

from hubagent.errors import PreflightError, StorageError
from hubagent.ports import CertificateFacts, Clock, FileStore

_DAY_S = 86_400.0
_MAX_BYTES = 1 << 20


def certificate_text(
    *names: str, key: str, not_before_s: float = 1_790_000_000.0, not_after_s: float = 1_830_000_000.0
) -> bytes:
    """What to put into a certificate file for `FakeCertificateStore`."""
    facts = {"names": names, "key": key, "not_before_s": not_before_s, "not_after_s": not_after_s}
    return b"CERTIFICATE " + json.dumps(facts).encode()


def key_text(key: str) -> bytes:
    """What to put into a key file: the pair fits when `key` is the same."""
    return b"KEY " + key.encode()


class FakeCertificateStore:
    """`ports.CertificateStore` on files of that form."""

    def __init__(self, files: FileStore, clock: Clock, *, machine: str = "machine") -> None:
        self._files = files
        self._clock = clock
        self._machine = machine
        self._keys = itertools.count(1)
        self.journal: list[tuple[str, str]] = []

    def inspect(self, certificate: Path, key: Path) -> CertificateFacts:
        self.journal.append(("inspect", str(certificate)))
        content = self._read(certificate)
        if not content.startswith(b"CERTIFICATE "):
            raise PreflightError(f"{certificate}: holds no readable PEM certificate")
        private = self._read(key)
        if not private.startswith(b"KEY "):
            raise PreflightError(f"{key}: holds no private key in PEM form that a TLS server can use")
        facts = json.loads(content.removeprefix(b"CERTIFICATE "))
        if private != key_text(facts["key"]):
            raise PreflightError(f"{certificate}: does not belong to the key in {key}")
        return CertificateFacts(
            fingerprint_sha256=hashlib.sha256(content).hexdigest(),
            not_before_s=facts["not_before_s"],
            not_after_s=facts["not_after_s"],
            names=tuple(facts["names"]),
        )

    def create_self_signed(self, certificate: Path, key: Path, *, host: str | None) -> None:
        self.journal.append(("create_self_signed", str(certificate)))
        names = [host] if host else [self._machine, "localhost", "127.0.0.1", "::1"]
        secret = f"self-signed {next(self._keys)}"
        now = self._clock.time()
        self._files.write(key, key_text(secret), mode=0o600)
        text = certificate_text(*names, key=secret, not_before_s=now, not_after_s=now + 365 * _DAY_S)
        self._files.write(certificate, text, mode=0o644)

    def create_request(self, key: Path, *, names: tuple[str, ...]) -> str:
        self.journal.append(("create_request", str(key)))
        secret = f"requested {next(self._keys)}"
        self._files.write(key, key_text(secret), mode=0o600)
        return json.dumps({"names": names, "key": secret})

    def _read(self, path: Path) -> bytes:
        try:
            state = self._files.read(path, max_bytes=_MAX_BYTES)
        except StorageError as error:
            raise PreflightError(str(error)) from error
        if state is None:
            raise PreflightError(f"{path}: is not there")
        return state.content
