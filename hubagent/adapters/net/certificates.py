"""X.509 certificates and keys: judged before nginx sees them, and one made at first start.

The reading and making is done by a short-lived process, see x509.py; keys go to it by a pipe.
"""

from __future__ import annotations

import hashlib
import json
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from hubagent.codec import Codec
from hubagent.errors import PreflightError, StorageError, TemporaryError
from hubagent.ports import CertificateFacts, Clock, FileStore

VALIDITY_DAYS: Final = 365
"""As long as browsers accept for certificates from public authorities (398 days), less a day for clocks."""

_MAX_FILE_BYTES: Final = 1 << 20
_CLOCK_SKEW_S: Final = 3600  # a client whose clock is behind may still connect
_PROGRAM: Final = Path(__file__).with_name("x509.py")
_PROGRAM_S: Final = 30.0
_REMEMBERED: Final = 8  # pairs: self-signed, from an authority, each of those with the one before
_FACTS: Final = Codec(CertificateFacts, strict=False)


class PemCertificateStore:
    """`ports.CertificateStore` on PEM files."""

    def __init__(self, files: FileStore, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._known: dict[bytes, CertificateFacts] = {}

    def inspect(self, certificate: Path, key: Path) -> CertificateFacts:
        """Asked at every check, so what these very bytes certify is remembered (as a hash: one is a key)."""
        pair = self._read(certificate), self._read(key)
        both = b"".join(hashlib.sha256(content).digest() for content in pair)
        found = self._known.get(both)
        if found is None:
            found = _inspect(certificate, key, *pair)
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            self._known[both] = found
        return found

    def create_self_signed(self, certificate: Path, key: Path, *, host: str | None) -> None:
        """The key is written first: a power cut in between leaves a pair that `inspect` refuses."""
        names = [host] if host else _machine_names()
        # Whole seconds: a certificate has no smaller ones, and both ends shall be rounded alike.
        start_s = int(self._clock.time()) - _CLOCK_SKEW_S
        made = _ask({"make": names, "from_s": start_s, "days": VALIDITY_DAYS})
        self._files.write(key, made["key"].encode(), mode=0o600)
        self._files.write(certificate, made["certificate"].encode(), mode=0o644)

    def create_request(self, key: Path, *, names: tuple[str, ...]) -> str:
        made = _ask({"request": names})
        self._files.write(key, made["key"].encode(), mode=0o600)
        return str(made["request"])

    def _read(self, path: Path) -> bytes:
        try:
            state = self._files.read(path, max_bytes=_MAX_FILE_BYTES)
        except StorageError as error:
            raise PreflightError(str(error)) from error
        if state is None:
            raise PreflightError(f"{path}: is not there; correct the path in `tls`, or put the file there")
        return state.content


def _inspect(certificate: Path, key: Path, chain: bytes, private: bytes) -> CertificateFacts:
    found = _ask({"certificate": chain.decode("latin-1"), "key": private.decode("latin-1")})
    if "fault" in found:
        raise PreflightError(_words(found, certificate, key))
    return _FACTS.typed(found)


def _words(found: Mapping[str, Any], certificate: Path, key: Path) -> str:
    match found["fault"]:
        case "certificate":
            return (
                f"{certificate}: holds no readable PEM certificate ({found['detail']}); it must have the "
                f"server's certificate first, then the intermediate ones"
            )
        case "encrypted":
            return (
                f"{key}: the key is encrypted, and nobody can type its password when nginx starts; "
                f"decrypt it with `openssl pkey -in {key} -out NEWFILE`"
            )
        case "key":
            return f"{key}: holds no private key in PEM form that a TLS server can use; give an RSA or EC key"
        case _:
            return (
                f"{certificate}: does not belong to the key in {key}; put the certificate that was issued "
                f"for this key first in the file, or the other key"
            )


def _ask(question: Mapping[str, object]) -> Mapping[str, Any]:
    try:
        done = subprocess.run(  # noqa: S603 (our own program, by its path)
            [sys.executable, "-I", _PROGRAM],
            input=json.dumps(question).encode(),
            capture_output=True,
            timeout=_PROGRAM_S,
            check=True,
        )
        answer: dict[str, Any] = json.loads(done.stdout)
    except subprocess.CalledProcessError as error:
        last = error.stderr.decode(errors="replace").strip().rpartition("\n")[2]
        raise TemporaryError(f"certificates cannot be read: {last}; reinstall python3-cryptography") from None
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        # Without the question, which may hold a key.
        raise TemporaryError(f"certificates cannot be read: {type(error).__name__}; try again") from None
    return answer


def _machine_names() -> list[str]:
    machine = socket.gethostname()
    usual = ["localhost", "127.0.0.1", "::1"]
    return [machine, *usual] if machine.isascii() and machine not in ("", *usual) else usual
