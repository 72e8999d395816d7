"""X.509 certificates and keys: judged before nginx sees them, and one made at first start.

python3-cryptography is imported at first use: it costs about 10 MB of memory for as long as the process
lives, and several commands get by without it.
"""

from __future__ import annotations

import datetime
import hashlib
import ipaddress
import socket
from pathlib import Path
from typing import TYPE_CHECKING, Final

from hubagent.errors import PreflightError, StorageError
from hubagent.ports import CertificateFacts, Clock, FileStore

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
    from cryptography.x509 import Certificate, GeneralName

VALIDITY_DAYS: Final = 365
"""As long as browsers accept for certificates from public authorities (398 days), less a day for clocks."""

_MAX_FILE_BYTES: Final = 1 << 20
_CLOCK_SKEW: Final = datetime.timedelta(hours=1)  # a client whose clock is behind may still connect
_MAX_COMMON_NAME: Final = 64  # X.520's upper bound


class PemCertificateStore:
    """`ports.CertificateStore` on PEM files."""

    def __init__(self, files: FileStore, clock: Clock) -> None:
        self._files = files
        self._clock = clock
        self._known: tuple[bytes, CertificateFacts] | None = None

    def inspect(self, certificate: Path, key: Path) -> CertificateFacts:
        """Asked at every look, so what these very bytes certify is remembered (as a hash: one is a key)."""
        both = hashlib.sha256(self._read(certificate)).digest() + hashlib.sha256(self._read(key)).digest()
        if self._known is None or self._known[0] != both:
            self._known = (both, self._parse(certificate, key))
        return self._known[1]

    def _parse(self, certificate: Path, key: Path) -> CertificateFacts:
        from cryptography.hazmat.primitives import hashes

        leaf = self._leaf(certificate)
        if _public_bytes(leaf.public_key()) != self._public_half(key):
            raise PreflightError(
                f"{certificate}: does not belong to the key in {key}; put the certificate that was issued "
                f"for this key first in the file, or the other key"
            )
        not_before, not_after = _validity(leaf)
        return CertificateFacts(
            fingerprint_sha256=leaf.fingerprint(hashes.SHA256()).hex(),
            not_before_s=not_before.timestamp(),
            not_after_s=not_after.timestamp(),
            names=_names(leaf),
        )

    def create_self_signed(self, certificate: Path, key: Path, *, host: str | None) -> None:
        """The key is written first: a power cut in between leaves a pair that `inspect` refuses."""
        from cryptography.hazmat.primitives.asymmetric import ec
        from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

        private = ec.generate_private_key(ec.SECP256R1())
        now = datetime.datetime.fromtimestamp(self._clock.time(), datetime.UTC)
        signed = _self_signed(private, [host] if host else _machine_names(), now)
        pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        self._files.write(key, pem, mode=0o600)
        self._files.write(certificate, signed.public_bytes(Encoding.PEM), mode=0o644)

    def _leaf(self, path: Path) -> Certificate:
        from cryptography import x509

        try:
            return x509.load_pem_x509_certificate(self._read(path))
        except ValueError as error:
            raise PreflightError(
                f"{path}: holds no readable PEM certificate ({error}); it must have the server's certificate "
                f"first, then the intermediate ones"
            ) from error

    def _public_half(self, path: Path) -> bytes:
        from cryptography.exceptions import UnsupportedAlgorithm
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        content = self._read(path)
        try:
            return _public_bytes(load_pem_private_key(content, password=None).public_key())
        except TypeError as error:
            raise PreflightError(
                f"{path}: the key is encrypted, and nobody can type its password when nginx starts; "
                f"decrypt it with `openssl pkey -in {path} -out NEWFILE`"
            ) from error
        except (ValueError, AttributeError, UnsupportedAlgorithm):
            # The cause is not chained: its text may quote the key.
            raise PreflightError(
                f"{path}: holds no private key in PEM form that a TLS server can use; give an RSA or EC key"
            ) from None

    def _read(self, path: Path) -> bytes:
        try:
            state = self._files.read(path, max_bytes=_MAX_FILE_BYTES)
        except StorageError as error:
            raise PreflightError(str(error)) from error
        if state is None:
            raise PreflightError(f"{path}: is not there; correct the path in `tls`, or put the file there")
        return state.content


def _self_signed(private: EllipticCurvePrivateKey, names: list[str], now: datetime.datetime) -> Certificate:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes

    title = names[0] if len(names[0]) <= _MAX_COMMON_NAME else "hubagent"
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, title)])
    start = now - _CLOCK_SKEW
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=VALIDITY_DAYS))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )


def _general_name(name: str) -> GeneralName:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _machine_names() -> list[str]:
    machine = socket.gethostname()
    usual = ["localhost", "127.0.0.1", "::1"]
    return [machine, *usual] if machine.isascii() and machine not in ("", *usual) else usual


def _names(leaf: Certificate) -> tuple[str, ...]:
    from cryptography import x509

    try:
        entries = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    addresses = [str(address) for address in entries.get_values_for_type(x509.IPAddress)]
    return (*entries.get_values_for_type(x509.DNSName), *addresses)


def _validity(leaf: Certificate) -> tuple[datetime.datetime, datetime.datetime]:
    """Both ends with their time zone. The `_utc` names came with 42.0, which deprecates the others."""

    def end(name: str) -> datetime.datetime:
        value: datetime.datetime | None = getattr(leaf, f"{name}_utc", None)
        return value or getattr(leaf, name).replace(tzinfo=datetime.UTC)

    return end("not_valid_before"), end("not_valid_after")


def _public_bytes(public: object) -> bytes:
    """DER, the same for equal keys."""
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    encoded: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded
