"""How this host reaches Debian's packages, read from its own settings, so that machines do the same.

No address is written down here: the archive, proxies, options and extra certificate authorities are
whatever apt and the trust store of this host use.
"""

from __future__ import annotations

import functools
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from .errors import RigError
from .process import run

_ACQUIRE = re.compile(r'^Acquire::(?:https?::.*|Check-[A-Za-z-]+|Retries|ForceIPv[46]) "[^"]+";$')
_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_PROXIES = ("http_proxy", "https_proxy", "no_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")


@dataclass(frozen=True, slots=True)
class Sources:
    """The way to the package registries."""

    archive: str
    """Address of Debian's main archive."""
    security: str | None
    """Address of Debian's security archive; None when this host has none."""
    apt_options: tuple[str, ...]
    """Lines for apt.conf."""
    authorities: tuple[str, ...]
    """Certificates (PEM) that this host trusts beyond those of Debian's ca-certificates."""
    environment: Mapping[str, str]
    """Proxy variables, for commands that reach out."""

    def lines(self, suite: str) -> list[str]:
        """sources.list(5) for one suite."""
        found = [f"deb {self.archive} {part} main" for part in (suite, f"{suite}-updates")]
        if self.security:
            found.append(f"deb {self.security} {suite}-security main")
        return found


@functools.cache
def discover() -> Sources:
    """Read this host's settings. Needs one `apt-get update` to have been run."""
    archive, security = _archives()
    return Sources(
        archive=archive,
        security=security,
        apt_options=tuple(
            line for line in run(["apt-config", "dump"]).stdout.splitlines() if _ACQUIRE.match(line)
        ),
        authorities=_authorities(),
        environment={name: os.environ[name] for name in _PROXIES if name in os.environ},
    )


def archives_known() -> bool:
    """Whether apt's lists are there, so that `discover` can work."""
    return any(label == "Debian" for label, _ in _index_targets())


def _index_targets() -> list[tuple[str, str]]:
    listed = run(["apt-get", "indextargets", "--format", "$(LABEL)\t$(REPO_URI)", "Created-By: Packages"])
    rows = (line.split("\t", 1) for line in listed.stdout.splitlines())
    return [(row[0], row[1]) for row in rows if len(row) == 2]


def _archives() -> tuple[str, str | None]:
    by_label: dict[str, str] = {}
    for label, uri in _index_targets():
        by_label.setdefault(label, uri)
    if "Debian" not in by_label:
        raise RigError(
            "apt knows no Debian archive: run `apt-get update`, and look at /etc/apt/sources.list*"
        )
    return by_label["Debian"], by_label.get("Debian-Security")


def _authorities() -> tuple[str, ...]:
    def plain(pem: str) -> str:
        return re.sub(r"\s", "", pem)

    shipped = {
        plain(pem)
        for file in Path("/usr/share/ca-certificates").rglob("*.crt")
        for pem in _PEM.findall(file.read_text(errors="replace"))
    }
    if not _BUNDLE.exists():
        return ()
    trusted: list[str] = _PEM.findall(_BUNDLE.read_text(errors="replace"))
    return tuple(pem for pem in trusted if plain(pem) not in shipped)


def keyring() -> Path:
    """The keys that sign Debian's suites."""
    return _KEYRING


def name_servers() -> str:
    """resolv.conf(5) that works from another network namespace: systemd-resolved's stub listens on this one only."""
    behind_stub = Path("/run/systemd/resolve/resolv.conf")
    own = Path("/etc/resolv.conf").read_text()
    return behind_stub.read_text() if "127.0.0.53" in own and behind_stub.exists() else own
