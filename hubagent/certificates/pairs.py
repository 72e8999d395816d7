"""The pairs that came from an authority: two, so that the one in force is never overwritten.

A generation that is tried with a new certificate may be taken back to the one before, whose pair must still be there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hubagent.errors import PreflightError
from hubagent.layout import Layout
from hubagent.ports import CertificateFacts, CertificateStore

_NAMES: Final = ("letsencrypt", "letsencrypt-2")
_CLOCK_SKEW_S: Final = 86400.0


@dataclass(frozen=True, slots=True)
class Pair:
    certificate: Path
    key: Path
    facts: CertificateFacts


def places(layout: Layout) -> tuple[tuple[Path, Path], ...]:
    """Certificate and key of each."""
    return tuple((layout.tls / f"{name}.crt", layout.tls / f"{name}.key") for name in _NAMES)


def held(
    layout: Layout, certificates: CertificateStore, names: tuple[str, ...], *, now_s: float
) -> Pair | None:
    """The last one that was issued for these names and is valid now."""
    usable = [pair for pair in _whole(layout, certificates) if serves(pair.facts, names, now_s=now_s)]
    return max(usable, key=lambda pair: pair.facts.not_before_s, default=None)


def serves(facts: CertificateFacts, names: tuple[str, ...], *, now_s: float) -> bool:
    is_valid = facts.not_before_s - _CLOCK_SKEW_S <= now_s < facts.not_after_s
    return is_valid and {name.lower() for name in facts.names} == set(names)


def place_for_next(layout: Layout, certificates: CertificateStore, in_use: str | None) -> tuple[Path, Path]:
    """Where the next pair goes: never over the one `in_use` (its fingerprint), and best over none."""
    whole = {pair.certificate: pair.facts for pair in _whole(layout, certificates)}
    free = [
        place
        for place in places(layout)
        if place[0] not in whole or whole[place[0]].fingerprint_sha256 != in_use
    ]
    return min(free, key=lambda place: whole[place[0]].not_before_s if place[0] in whole else 0.0)


def _whole(layout: Layout, certificates: CertificateStore) -> list[Pair]:
    found = []
    for certificate, key in places(layout):
        try:
            found.append(Pair(certificate, key, certificates.inspect(certificate, key)))
        except PreflightError:  # never obtained, or being obtained: the key is there first
            continue
    return found
