"""Private networks that an entry of `servers` opens to its containers: one target, with its grammar."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass
from ipaddress import IPv4Network
from typing import Final

from hubagent.config.tree import RefusedError, shown

NETWORK_PATTERN: Final = r"[0-9]+(?:\.[0-9]+){3}(?:/[0-9]{1,2})?(?::[0-9]{1,5}(?:/(?:tcp|udp))?)?"
_PARTS: Final = re.compile(r"([0-9.]+(?:/[0-9]+)?)(?::([0-9]+)(?:/([a-z]+))?)?")
_NAME: Final = re.compile(r"(?:[a-z+]+://)?([A-Za-z0-9.-]*[A-Za-z][A-Za-z0-9.-]*)(?::[0-9]+)?/?")
_WIDEST: Final = 8
"""Prefix length. A wider network is most of the internet, or everything that is private."""

_NEVER: Final = tuple(
    map(ipaddress.IPv4Network, ("0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"))
)
_EXAMPLES: Final = '10.1.2.0/24, "192.168.7.5:5432" or "192.168.7.5:53/udp"'


@dataclass(frozen=True, slots=True)
class OpenNetwork:
    """An IPv4 address or network; with a port, that port of one protocol alone, else everything there."""

    network: IPv4Network
    port: int | None = None
    protocol: str = "tcp"  # tcp | udp; counts with a port alone

    def __str__(self) -> str:
        is_host = self.network.prefixlen == self.network.max_prefixlen
        address = str(self.network.network_address if is_host else self.network)
        if self.port is None:
            return address
        return f"{address}:{self.port}" + ("/udp" if self.protocol == "udp" else "")


def parse_network(text: str) -> OpenNetwork:
    """Raises RefusedError; for names too, which may mean another address tomorrow."""
    match = _PARTS.fullmatch(text) if len(text) <= 100 else None
    if match is None or (match[3] is not None and match[3] not in ("tcp", "udp")):
        raise RefusedError(f"{shown(text)} is not a network; {_advice(text)}")
    network = _network(match[1], text)
    port = None if match[2] is None else int(match[2])
    if port is not None and not 1 <= port <= 65535:
        raise RefusedError(f"{shown(text)} has no such port; write one from 1 to 65535")
    return OpenNetwork(network, port, match[3] or "tcp")


def _network(text: str, whole: str) -> IPv4Network:
    try:
        interface = ipaddress.IPv4Interface(text)
    except ValueError as error:
        raise RefusedError(f"{shown(whole)} is not a network; {_advice(whole)}") from error
    network = interface.network
    if interface.ip != network.network_address:
        raise RefusedError(f"{shown(whole)} has bits beyond its prefix; write {network} or {interface.ip}")
    if network.prefixlen < _WIDEST:
        raise RefusedError(
            f"{shown(whole)} is too wide; write the networks that are meant one by one, such as 10.1.2.0/24"
        )
    if any(network.overlaps(never) for never in _NEVER):
        raise RefusedError(
            f"{shown(whole)} is never opened: loopback, link-local addresses (a cloud's metadata among them)"
            " and multicast stay closed; remove it"
        )
    return network


def _advice(text: str) -> str:
    if _is_ipv6(text):
        return "containers have IPv4 only: write the host's IPv4 address"
    name = _NAME.fullmatch(text[:300])
    if name:
        return f"names are not looked up: write the address that `getent ahostsv4 {name[1][:60]}` shows"
    return f"write an address or network, with a port or without: {_EXAMPLES}"


def _is_ipv6(text: str) -> bool:
    bare = re.sub(r"\[(.*)\](?::[0-9]+(?:/[a-z]+)?)?", r"\1", text[:100])
    try:
        return isinstance(ipaddress.ip_interface(bare), ipaddress.IPv6Interface)
    except ValueError:
        return False
