"""The service manager's notification socket: sd_notify(3) and sd_watchdog_enabled(3) in plain Python.

Without NOTIFY_SOCKET (started by hand) every call does nothing. A service manager that does not take the
message is logged, never raised: telling of work must not stop the work.
"""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Mapping
from typing import Final

_LOG = logging.getLogger(__name__)

_MAX_STATUS_BYTES: Final = 2048  # systemd drops a datagram over 4096 bytes whole
_SEND_TIMEOUT_S: Final = 2.0
_EXTEND_S: Final = 120.0


class SystemdNotifier:
    """`ports.Notifier` from the environment that systemd gave this process."""

    def __init__(self, environment: Mapping[str, str] | None = None) -> None:
        values = os.environ if environment is None else environment
        self._address = _socket_address(values.get("NOTIFY_SOCKET", ""))
        self._watchdog_interval_s = _watchdog_interval_s(values)
        self._is_ready = False

    def ready(self, status: str) -> None:
        self._is_ready = True
        self._send("READY=1", _status_line(status))

    def status(self, status: str) -> None:
        self._send(_status_line(status))

    def reloading(self) -> None:
        # One datagram: systemd 253 and later refuse RELOADING=1 that comes without its time.
        self._send("RELOADING=1", f"MONOTONIC_USEC={time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000}")

    def stopping(self) -> None:
        self._send("STOPPING=1")

    def watchdog(self) -> None:
        # A start that gets on may last: each sign of it moves TimeoutStartSec away, once that has passed.
        extend = () if self._is_ready else (f"EXTEND_TIMEOUT_USEC={int(_EXTEND_S * 1e6)}",)
        self._send("WATCHDOG=1", *extend)

    @property
    def watchdog_interval_s(self) -> float | None:
        return self._watchdog_interval_s

    def _send(self, *lines: str) -> None:
        if self._address is None:
            return
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
                sender.settimeout(_SEND_TIMEOUT_S)
                sender.sendto("\n".join(lines).encode(), self._address)
        except OSError as error:
            _LOG.warning("the service manager did not accept a notification: %s", error)


def _socket_address(value: str) -> str | None:
    """The kernel's form of a socket path; a leading @ means the abstract namespace."""
    if value.startswith("@"):
        return "\0" + value[1:]
    return value if value.startswith("/") else None


def _status_line(status: str) -> str:
    """One bounded line: a line break in the text would start a second assignment."""
    flat = " ".join(status.split())
    return "STATUS=" + flat.encode()[:_MAX_STATUS_BYTES].decode(errors="ignore")


def _watchdog_interval_s(values: Mapping[str, str]) -> float | None:
    limit_us = values.get("WATCHDOG_USEC", "")
    for_pid = values.get("WATCHDOG_PID", str(os.getpid()))
    if not limit_us.isdecimal() or int(limit_us) == 0 or for_pid != str(os.getpid()):
        return None
    return int(limit_us) / 1e6 / 2
