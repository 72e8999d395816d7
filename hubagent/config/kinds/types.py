"""Small value types, sizes and durations with their grammar: a value that exists is a value that is allowed.

Each `parse_…` takes the text of the YAML file and returns the value, or raises `RefusedError`. Text is never
changed on the way (no lower-casing, no stripping): it is taken as it is, or refused with the right form. Sizes are
bytes in binary multiples, durations seconds; both are written back by `format_…`.
"""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from typing import Final, NewType

from hubagent import layout
from hubagent.config.tree import RefusedError, shown

Hostname = NewType("Hostname", str)
"""A DNS host name: LDH labels joined by dots, lower case, no trailing dot, at most 253 characters
(RFC 1123)."""

Username = NewType("Username", str)
"""A JupyterHub user name as the hub normalises it: lower case, no white space or '/'."""

ServerName = NewType("ServerName", str)
"""The key of a `servers` entry: a-z, 0-9, '-', starting with a letter, at most 32 characters."""

HOSTNAME_PATTERN: Final = (
    r"(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)*(?=[a-z0-9-]*[a-z])[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
)
SERVER_NAME_PATTERN: Final = r"[a-z][a-z0-9-]{0,31}"
EMAIL_PATTERN: Final = r"[A-Za-z0-9_%+-]+(?:\.[A-Za-z0-9_%+-]+)*@[A-Za-z0-9-]+(?:\.[A-Za-z0-9-]+)+"
BCRYPT_PATTERN: Final = r"\$2[aby]\$(?:0[4-9]|[12][0-9]|3[01])\$[./A-Za-z0-9]{53}"
VARIABLE_PATTERN: Final = r"[A-Za-z_][A-Za-z0-9_]*"
AUTHENTICATOR_PATTERN: Final = r"[a-z][a-z0-9-]*|[A-Za-z_][A-Za-z0-9_]*(?:\.[A-Za-z_][A-Za-z0-9_]*)+"

_MAX_USERNAME_BYTES: Final = 200  # it is also part of file and container names
_TAKEN_PORTS: Final = {
    80: "nginx",
    443: "nginx",
    layout.PROXY_PORT: "configurable-http-proxy",
    layout.PROXY_API_PORT: "configurable-http-proxy",
    layout.PROXY_METRICS_PORT: "configurable-http-proxy",
    layout.HUB_PORT: "jupyterhub",
}

SIZE_PATTERN: Final = r"([0-9]{1,15})(?:\.([0-9]{1,3}))?([kKmMgGtT])"
DURATION_PATTERN: Final = (
    r"0|(?=[0-9])(?:([0-9]{1,9})d)?(?:([0-9]{1,9})h)?(?:([0-9]{1,9})m)?(?:([0-9]{1,9})s)?"
)

_SIZE_UNITS: Final = {"K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}
_DURATION_UNITS: Final = {"d": 86400, "h": 3600, "m": 60, "s": 1}


@dataclass(frozen=True, slots=True)
class ListenAddress:
    """An IP address and a TCP port (1 to 65535) to listen on."""

    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_loopback(self) -> bool:
        return ipaddress.ip_address(self.host).is_loopback


@dataclass(frozen=True, slots=True, order=True)
class TimeOfDay:
    """A local wall-clock time, 24-hour."""

    hour: int
    minute: int

    def __str__(self) -> str:
        return f"{self.hour:02d}:{self.minute:02d}"


def _is_ip(text: str) -> bool:
    try:
        ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return False
    return True


def parse_hostname(text: str) -> Hostname:
    if len(text) <= 253 and re.fullmatch(HOSTNAME_PATTERN, text):
        return Hostname(text)
    raise RefusedError(f"{shown(text)} is not a host name; {_hostname_advice(text)}")


def _hostname_advice(text: str) -> str:
    bare = re.sub(r"^[a-z]+://", "", text[:300], flags=re.IGNORECASE).rstrip("./").lower()
    if _is_ip(bare):
        return "an IP address needs no `host`: remove the line, and every name and address is served"
    if bare.startswith("*."):
        return "one name is served, not a wildcard: write the name that people type"
    if bare != text and re.fullmatch(HOSTNAME_PATTERN, bare):
        return f"write {bare}"
    if re.fullmatch(r"[a-z0-9.-]+:\d+", bare):
        return "leave out the port: it is always 80 and 443"
    if not bare.isascii():
        try:
            ascii_form = bare.encode("idna").decode("ascii")
        except UnicodeError:
            ascii_form = ""
        if re.fullmatch(HOSTNAME_PATTERN, ascii_form):
            return f"write its ASCII form: {ascii_form}"
    return "write a DNS name such as hub.example.org: a-z, 0-9, '-' and dots, at most 253 characters"


def parse_username(text: str) -> Username:
    if text != text.lower():
        raise RefusedError(
            f"{shown(text)} has capital letters; JupyterHub's user names are lower case: write"
            f" {shown(text.lower())}"
        )
    fine = all(c.isalnum() or c in "._@+-" for c in text) and text[:1].isalnum()
    if not fine or len(text.encode()) > _MAX_USERNAME_BYTES:
        raise RefusedError(
            f"{shown(text)} is not a user name; write letters, digits and . _ @ + -, starting with a letter"
            f" or digit, at most {_MAX_USERNAME_BYTES} bytes"
        )
    return Username(text)


def parse_server_name(text: str) -> ServerName:
    if not re.fullmatch(SERVER_NAME_PATTERN, text):
        raise RefusedError(
            f"{shown(text)} is not a server name; write a-z, 0-9 and '-', starting with a letter, at most 32"
            " characters (`title` is what users see)"
        )
    return ServerName(text)


def parse_listen_address(text: str) -> ListenAddress:
    match = re.fullmatch(r"(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):([1-9][0-9]{0,4})", text)
    address = _address(match[1], 6) or _address(match[2], 4) if match else None
    if not match or address is None or int(match[3]) > 65535:
        advice = "write an IP address and a port, such as 127.0.0.1:9811 or [::1]:9811"
        if re.fullmatch(r"localhost:[0-9]{1,5}", text):
            advice = f"write the address: 127.0.0.1{text.removeprefix('localhost')}"
        raise RefusedError(f"{shown(text)} is not an address to listen on; {advice}")
    port = int(match[3])
    if port in _TAKEN_PORTS:
        raise RefusedError(
            f"port {port} is {_TAKEN_PORTS[port]}'s on this machine; take another, such as 9811"
        )
    return ListenAddress(address, port)


def _address(text: str | None, version: int) -> str | None:
    """The address in its usual spelling; None when it is not one of this version."""
    try:
        address = ipaddress.ip_address(text or "")
    except ValueError:
        return None
    return str(address) if address.version == version else None


def parse_email(text: str) -> str:
    if len(text) > 254 or not re.fullmatch(EMAIL_PATTERN, text):
        raise RefusedError(f"{shown(text)} is not an e-mail address; write one such as admin@example.org")
    return text


def parse_bcrypt(text: str) -> str:
    """A bcrypt hash. The message never repeats the value: it may be the password itself."""
    if not re.fullmatch(BCRYPT_PATTERN, text):
        raise RefusedError(
            "is not a bcrypt hash; make one with `htpasswd -nBC 10 NAME` and write the part after the ':'"
        )
    return text


def parse_variable(text: str) -> str:
    if len(text) > 200 or not re.fullmatch(VARIABLE_PATTERN, text):
        raise RefusedError(
            f"{shown(text)} is not a variable name; write letters, digits and '_', not starting with a digit"
        )
    if text.startswith("JUPYTERHUB_"):
        raise RefusedError(f"{shown(text)} is set by the hub for every server; remove the line")
    return text


def parse_authenticator(text: str) -> str:
    short = {"nativeauthenticator": "native", "pamauthenticator": "pam", "localauthenticator": "pam"}
    known = short.get(text.rpartition(".")[2].lower())
    if known:
        raise RefusedError(f"{shown(text)} is called `{known}` here; write {known}")
    if len(text) > 200 or not re.fullmatch(AUTHENTICATOR_PATTERN, text):
        raise RefusedError(
            f"{shown(text)} is not an authenticator; write native, pam, github, google, another short name"
            " that JupyterHub knows, or module.Class"
        )
    return text


def parse_text(text: str) -> str:
    """A short line for people to read."""
    if not text.strip() or len(text) > 100 or not text.isprintable():
        raise RefusedError(f"{shown(text)} is not a title; write one line of 1 to 100 characters")
    return text


def parse_value(text: str) -> str:
    """The value of an environment variable: anything but NUL."""
    if "\0" in text or len(text) > 32768:
        raise RefusedError(
            f"{shown(text)} cannot be a variable's value; leave out NUL and keep it under 32768 characters"
        )
    return text


def parse_size(text: str) -> int:
    """Bytes: `4G`, `1.5G`, `512M`, `100m`; the letter's case does not matter."""
    match = re.fullmatch(SIZE_PATTERN, text)
    if not match:
        plain = re.fullmatch(r"([0-9.]{1,15}[kKmMgGtT])i?[bB]", text.replace(" ", ""))
        advice = (
            f"write {plain[1]} (1G is 1024M)"
            if plain
            else "write a number and k, M, G or T, such as 512M or 4G"
        )
        raise RefusedError(f"{shown(text)} is not a size; {advice}")
    unit = _SIZE_UNITS[match[3].upper()]
    thousandths = int(match[1]) * 1000 + int((match[2] or "0").ljust(3, "0"))
    if thousandths * unit % 1000:
        raise RefusedError(f"{shown(text)} is not a whole number of bytes; write it in a smaller unit")
    return thousandths * unit // 1000


def format_size(size_bytes: int) -> str | int:
    """The text that `parse_size` reads as this size; a plain number where no unit divides it."""
    for letter, unit in reversed(_SIZE_UNITS.items()):
        if size_bytes and size_bytes % unit == 0:
            return f"{size_bytes // unit}{letter}"
    return size_bytes


def parse_duration(text: str) -> float:
    """Seconds: `30m`, `12h`, `1h30m`, `90s`, `2d`, `0`."""
    match = re.fullmatch(DURATION_PATTERN, text)
    if not match:
        advice = "write a number and s, m, h or d, such as 30m or 12h"
        if re.fullmatch(r"[0-9]{1,9}", text):
            advice = f"a unit is missing: write {text}s, {text}m or {text}h"
        raise RefusedError(f"{shown(text)} is not a duration; {advice}")
    return float(
        sum(
            int(amount or 0) * unit
            for amount, unit in zip(match.groups(), _DURATION_UNITS.values(), strict=True)
        )
    )


def format_duration(seconds: float) -> str | int:
    """The shortest text that `parse_duration` reads as this; 0 is plain 0."""
    rest = int(seconds)
    parts = []
    for letter, unit in _DURATION_UNITS.items():
        amount, rest = divmod(rest, unit)
        if amount:
            parts.append(f"{amount}{letter}")
    return "".join(parts) or 0
