"""Debian's Chromium in a network namespace of its own, driven by Playwright."""

from __future__ import annotations

import base64
import hashlib
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from playwright.sync_api import Browser, sync_playwright

from tests.machine.client import CERTIFICATE
from tests.machine.hub import Hub
from tests.machine.rig.client import client_network
from tests.machine.rig.network import Network

FLAGS = (
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


def installed() -> Path:
    """Debian's Chromium, installed if it was not."""
    subprocess.run(["packaging/apt_install.sh", "chromium"], check=True)
    return Path("/usr/bin/chromium")


@contextmanager
def chromium(hub: Hub, beside: Network | None = None) -> Iterator[Browser]:
    """It trusts this hub's certificate: what came over a connection that it was told to overlook is in no cache of its.
    Its network is its own, or that of others whom it is `beside`."""
    trusted = f"--ignore-certificate-errors-spki-list={_key_digest(hub.machine.read(CERTIFICATE))}"
    program = installed()
    with (
        tempfile.TemporaryDirectory(prefix="chromium-") as folder,
        client_network() if beside is None else nullcontext(beside) as network,
        sync_playwright() as playwright,
    ):
        wrapper = Path(folder, "chromium")
        wrapper.write_text(f'#!/bin/sh\nexec nsenter --net={network.path} {program} "$@"\n')
        wrapper.chmod(0o755)
        browser = playwright.chromium.launch(
            executable_path=wrapper, args=[*FLAGS, trusted], chromium_sandbox=False
        )
        yield browser
        browser.close()


def _key_digest(certificate: str) -> str:
    """SHA-256 of the public key (SubjectPublicKeyInfo, RFC 7469, 2.4), in base64, of a certificate in PEM."""
    key = x509.load_pem_x509_certificate(certificate.encode()).public_key()
    return base64.b64encode(
        hashlib.sha256(key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)).digest()
    ).decode()
