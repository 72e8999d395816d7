"""Small value types with their grammar: a value that exists is a value that is allowed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NewType

Hostname = NewType("Hostname", str)
"""A DNS host name: LDH labels joined by dots, lower case, no trailing dot, at most 253 characters (RFC 1123)."""

Username = NewType("Username", str)
"""A JupyterHub user name as the hub normalises it: lower case, no white space or '/'."""

ServerName = NewType("ServerName", str)
"""The key of a `servers` entry: a-z, 0-9, '-', starting with a letter, at most 32 characters."""


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An IP address and a TCP port (1 to 65535) to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True, order=True)
class TimeOfDay:
    """A local wall-clock time, 24-hour."""

    hour: int
    minute: int

    def __str__(self) -> str:
        return f"{self.hour:02d}:{self.minute:02d}"
