"""Who may read the endpoint: basic authentication with bcrypt, and TLS whose certificate follows its files.

The users are those of Prometheus' web configuration (`basic_auth_users`): a name and a bcrypt hash each.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import logging
import re
import secrets
import ssl
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from hubagent.config.model import MetricsTls
from hubagent.errors import PreflightError
from hubagent.web.http_connection import Request, RequestError

log = logging.getLogger(__name__)

_HASH: Final = re.compile(r"\$2[aby]\$(0[4-9]|[12]\d|3[01])\$[./A-Za-z0-9]{53}")
_CHALLENGE: Final = (("WWW-Authenticate", 'Basic realm="hubagent", charset="UTF-8"'),)
_BCRYPT_BYTES: Final = 72  # bcrypt looks at no more; newer versions of the library refuse more
_MAX_WAITING: Final = 8
_RECHECK_S: Final = 5.0


class BasicAuth:
    """Checks `Authorization: Basic`. Without users everybody may read.

    bcrypt takes a tenth of a second on purpose, so it runs in a thread of its own, one check at a time, and a
    password that was right is remembered (as a keyed digest): a scrape every few seconds costs nothing.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        """`users` maps a name to its bcrypt hash. Raises PreflightError for a hash that is none, or when
        Debian's python3-bcrypt is not installed."""
        costs = []
        for name, hashed in users.items():
            match = _HASH.fullmatch(hashed)
            if match is None:
                raise PreflightError(
                    f"metrics.users: the value of {name!r} is not a bcrypt hash; make one with "
                    "`htpasswd -nBC 10 NAME` (package apache2-utils)"
                )
            costs.append(match[1])
        self._users = {name.encode(): hashed.encode() for name, hashed in users.items()}
        # An unknown name is checked against this, so that its answer takes as long as that of a known one.
        self._decoy = f"$2b${max(costs, default='04')}${'.' * 53}".encode()
        self._key = secrets.token_bytes(32)
        self._right: dict[bytes, bytes] = {}  # name to keyed digest of the password that was right
        self._waiting = 0
        self._bcrypt: Any = None
        self._thread: ThreadPoolExecutor | None = None
        if users:
            self._bcrypt = _load_bcrypt()
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="metrics-auth")

    async def check(self, request: Request) -> None:
        """Return when the request may be answered; raises RequestError otherwise."""
        if self._thread is None:
            return
        name, password = _credentials(request.headers.get("authorization", ""))
        digest = hmac.digest(self._key, password, "sha256")
        if hmac.compare_digest(self._right.get(name, b""), digest):
            return
        if self._waiting >= _MAX_WAITING:
            raise RequestError(
                HTTPStatus.SERVICE_UNAVAILABLE,
                "Too many passwords wait to be checked.",
                (("Retry-After", "2"),),
            )
        self._waiting += 1
        try:
            hashed = self._users.get(name, self._decoy)
            matches = await asyncio.get_running_loop().run_in_executor(
                self._thread, self._matches, password, hashed
            )
        finally:
            self._waiting -= 1
        if not (matches and name in self._users):
            raise RequestError(HTTPStatus.UNAUTHORIZED, "Name or password is wrong.", _CHALLENGE)
        self._right[name] = digest

    def close(self) -> None:
        if self._thread is not None:
            self._thread.shutdown(wait=False)  # checks under way are finished: somebody awaits them

    def _matches(self, password: bytes, hashed: bytes) -> bool:
        try:
            return bool(self._bcrypt.checkpw(password[:_BCRYPT_BYTES], hashed))
        except ValueError:  # a NUL byte in the password
            return False


def _credentials(header: str) -> tuple[bytes, bytes]:
    scheme, _, encoded = header.partition(" ")
    try:
        name, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
    except (binascii.Error, ValueError):
        name, colon, password = b"", b"", b""
    if scheme.lower() != "basic" or not colon:
        raise RequestError(HTTPStatus.UNAUTHORIZED, "Name and password are needed.", _CHALLENGE)
    return name, password


def _load_bcrypt() -> Any:
    try:
        import bcrypt
    except ImportError:
        raise PreflightError(
            "metrics.users needs the library bcrypt: apt install python3-bcrypt, or remove metrics.users"
        ) from None
    return bcrypt


class ServerTls:
    """TLS 1.2 or newer with a certificate that is read again when its files have another content.

    Handshakes use `context`; the pair is swapped inside it, so that a listener need not be bound again.
    """

    def __init__(self, files: MetricsTls, *, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Raises PreflightError when the pair cannot be used."""
        self._certificate = Path(files.certificate)
        self._key = Path(files.key)
        self._monotonic = monotonic
        self._fingerprint = self._digest()
        self._current = self._load()
        self._checked_at = monotonic()
        self.context = self._load()
        self.context.sni_callback = self._choose  # called for every handshake, with or without a server name

    def _choose(self, connection: ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self._monotonic() - self._checked_at >= _RECHECK_S:
            self._checked_at = self._monotonic()
            self._renew()
        connection.context = self._current

    def _renew(self) -> None:
        try:
            fingerprint = self._digest()
            if fingerprint != self._fingerprint:
                self._current = self._load()
                self._fingerprint = fingerprint
                log.info("metrics: serving the new certificate of %s", self._certificate)
        except PreflightError as error:  # half of the pair is written: keep the old one, try again
            log.warning("metrics: keeping the old certificate: %s", error)

    def _digest(self) -> bytes:
        try:
            return hashlib.sha256(self._certificate.read_bytes() + b"\0" + self._key.read_bytes()).digest()
        except OSError as error:
            raise PreflightError(f"metrics.tls: {error.filename} cannot be read: {error.strerror}") from None

    def _load(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        try:
            # The empty password keeps OpenSSL from asking for one on the terminal.
            context.load_cert_chain(self._certificate, self._key, password="")
        except (ssl.SSLError, OSError, ValueError) as error:
            raise PreflightError(
                f"metrics.tls: {self._certificate} and {self._key} are not a usable pair ({error}); both "
                "must be PEM, the key without a password and belonging to the certificate"
            ) from None
        return context
