"""From where on a number is a reason to act: one limit, one verdict, wherever it is shown.

Status, page, doctor and metrics ask here; the shipped alert rules (conf/prometheus/alerts.yml) have the same numbers,
and a test holds them to these.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass
from typing import Final

_MIB: Final = 1024**2
_GIB: Final = 1024**3
_DAY_S: Final = 86400.0


class Verdict(enum.IntEnum):
    """What a number means for whoever looks after the server."""

    FINE = 0
    WARNING = 1  # somebody should act today
    CRITICAL = 2  # users are cut off, or soon will be


@dataclass(frozen=True, slots=True)
class Floor:
    """Less than this is too little."""

    warning: float
    critical: float

    def verdict(self, value: float) -> Verdict:
        if value < self.critical:
            return Verdict.CRITICAL
        return Verdict.WARNING if value < self.warning else Verdict.FINE


@dataclass(frozen=True, slots=True)
class Ceiling:
    """More than this is too much."""

    warning: float

    def verdict(self, value: float) -> Verdict:
        return Verdict.WARNING if value > self.warning else Verdict.FINE


DISK_FREE_BYTES: Final = Floor(warning=5 * _GIB, critical=_GIB)
"""Where the agent keeps its state. A new image takes gigabytes beside the one in use; under one, what people save next
may be what does not fit."""

EDIT_NEEDS_BYTES: Final = 64 * _MIB
"""Of free disk: many times what a generation takes, so that an edit never ends in the middle for want of room."""

IMAGE_NEEDS_BYTES: Final = 2 * _GIB
"""Of free disk: no image is begun with less, for most would not get done."""

STATIC_FILES_NEED_BYTES: Final = 512 * _MIB
"""Of free disk: static files only make pages quicker, and leave room for what people save."""

CERTIFICATE_LEFT_S: Final = Floor(warning=14 * _DAY_S, critical=2 * _DAY_S)
"""Until the certificate's end. certbot renews a month before, and hubagent its own: whoever gets here was passed over
for two weeks. Two days are a weekend."""

_WARNING_LEFT: Final = 1 / 5
_CRITICAL_LEFT: Final = 1 / 12
"""Of the lifetime: a certificate of six days is renewed at a third of it, and never has two weeks left."""


def certificate_left_s(lifetime_s: float) -> Floor:
    """CERTIFICATE_LEFT_S, less for a certificate that lives so short. 0: nobody knows how long it lives."""
    if lifetime_s <= 0:
        return CERTIFICATE_LEFT_S
    return Floor(
        warning=min(CERTIFICATE_LEFT_S.warning, lifetime_s * _WARNING_LEFT),
        critical=min(CERTIFICATE_LEFT_S.critical, lifetime_s * _CRITICAL_LEFT),
    )


LAST_CHECK_AGE_S: Final = Ceiling(600.0)
"""Since the agent last checked. It checks every 20 seconds; one check may last on a busy machine, and systemd's
watchdog ends an agent that hangs."""

PROXY_MEMORY_BYTES: Final = Ceiling(1.5e9)
"""Resident. It keeps routes and open connections, nothing that takes so much: it leaks."""

PROXY_OPEN_FILES: Final = Ceiling(20_000)
"""A third of what its unit allows (LimitNOFILE=): room for a lecture, and time to check."""

NGINX_OLD_WORKERS: Final = Ceiling(20)
"""Each holds the memory of a worker until its last websocket closes."""

HUB_EVENT_LOOP_P99_S: Final = Ceiling(0.5)
"""99th percentile; 0.05 s is normal. Pages and starts wait so long for their turn."""
