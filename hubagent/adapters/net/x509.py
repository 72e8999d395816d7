"""The program that reads and makes certificates: one JSON object on standard input, one on standard output.

A process of its own, because python3-cryptography with OpenSSL's providers costs 6 MB of memory for as long as
a process lives, and certificates change a few times a year. Imports nothing of hubagent, so that it can be run
by its path, isolated from the caller's folder and environment.

{"certificate": PEM, "key": PEM} is answered by {"fingerprint_sha256", "not_before_s", "not_after_s", "names"},
or by {"fault", "detail"}, where the fault is one of certificate or key (not readable), encrypted (a key that
needs a password) and pair (they do not belong together). {"make": [NAME…], "from_s": N, "days": N} is answered by
{"certificate": PEM, "key": PEM}, {"request": [NAME…]} by {"request": PEM, "key": PEM}. Times are unix seconds.
"""

from __future__ import annotations

import datetime
import ipaddress
import json
import sys
from collections.abc import Mapping, Sequence
from typing import Final

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

_MAX_COMMON_NAME: Final = 64  # X.520's upper bound


class _FaultError(Exception):
    def __init__(self, kind: str, detail: str = "") -> None:
        super().__init__(kind)
        self.kind = kind
        self.detail = detail


def inspect(certificate: bytes, key: bytes) -> dict[str, object]:
    """Facts of the first certificate, which must belong to the key."""
    leaf = _leaf(certificate)
    if _public_bytes(leaf.public_key()) != _public_half(key):
        raise _FaultError("pair")
    return {
        "fingerprint_sha256": leaf.fingerprint(hashes.SHA256()).hex(),
        "not_before_s": _end(leaf, "not_valid_before").timestamp(),
        "not_after_s": _end(leaf, "not_valid_after").timestamp(),
        "names": _names(leaf),
    }


def make(names: Sequence[str], start: datetime.datetime, days: int) -> dict[str, object]:
    """A new P-256 key, and a certificate signed with it for these names and addresses; the first is its title."""
    private = ec.generate_private_key(ec.SECP256R1())
    title = names[0] if len(names[0]) <= _MAX_COMMON_NAME else "hubagent"
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, title)])
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
    signed = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(start)
        .not_valid_after(start + datetime.timedelta(days=days))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([x509.oid.ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(private.public_key()), critical=False)
        .sign(private, hashes.SHA256())
    )
    return {"certificate": signed.public_bytes(Encoding.PEM).decode(), "key": _pem(private)}


def request(names: Sequence[str]) -> dict[str, object]:
    """A new P-256 key, and a request for a certificate with it. The names are in its extension alone, where an
    authority looks for them (RFC 8555, 7.4)."""
    private = ec.generate_private_key(ec.SECP256R1())
    signed = (
        x509.CertificateSigningRequestBuilder()
        .subject_name(x509.Name([]))
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .sign(private, hashes.SHA256())
    )
    return {"request": signed.public_bytes(Encoding.PEM).decode(), "key": _pem(private)}


def _pem(private: ec.EllipticCurvePrivateKey) -> str:
    return private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def _leaf(content: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(content)
    except ValueError as error:
        raise _FaultError("certificate", str(error)) from None


def _public_half(content: bytes) -> bytes:
    try:
        return _public_bytes(load_pem_private_key(content, password=None).public_key())
    except TypeError:
        raise _FaultError("encrypted") from None
    except (ValueError, AttributeError, UnsupportedAlgorithm):
        raise _FaultError("key") from None  # without the cause: its text may quote the key


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _names(leaf: x509.Certificate) -> list[str]:
    try:
        entries = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return []
    addresses = [str(address) for address in entries.get_values_for_type(x509.IPAddress)]
    return [*entries.get_values_for_type(x509.DNSName), *addresses]


def _end(leaf: x509.Certificate, name: str) -> datetime.datetime:
    """One end of the validity, with its time zone. The `_utc` names came with 42.0, which deprecates the
    others."""
    value: datetime.datetime | None = getattr(leaf, f"{name}_utc", None)
    return value or getattr(leaf, name).replace(tzinfo=datetime.UTC)


def _public_bytes(public: object) -> bytes:
    """DER, the same for equal keys."""
    encoded: bytes = public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    return encoded


def _answer(question: Mapping[str, object]) -> dict[str, object]:
    if "make" in question:
        names, days = question["make"], question["days"]
        assert isinstance(names, list)
        assert isinstance(days, int)
        start = datetime.datetime.fromtimestamp(float(str(question["from_s"])), datetime.UTC)
        return make([str(name) for name in names], start, days)
    if "request" in question:
        wanted = question["request"]
        assert isinstance(wanted, list)
        return request([str(name) for name in wanted])
    try:
        # As latin-1, so that any byte of a wrong file gets here.
        return inspect(*(str(question[name]).encode("latin-1") for name in ("certificate", "key")))
    except _FaultError as fault:
        return {"fault": fault.kind, "detail": fault.detail}


if __name__ == "__main__":
    json.dump(_answer(json.load(sys.stdin)), sys.stdout)
