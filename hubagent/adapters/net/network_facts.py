"""Name servers and attached networks of this machine, read from files: nobody has to be asked."""

from __future__ import annotations

import ipaddress
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_NAME_SERVER: Final = re.compile(r"^\s*nameserver\s+(\S+)", re.MULTILINE)
_OWN: Final = re.compile(r"\|-- (\S+)\n\s+/32 host LOCAL")
_BEHIND_STUB: Final = "run/systemd/resolve/resolv.conf"
"""The name servers that systemd-resolved asks; Docker gives containers these where its stub stands in resolv.conf."""


class NetworkFacts:
    """Of the machine under `root`. What cannot be read now is as it was when it last could be."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self._resolvers: tuple[str, ...] = ()

    def resolvers(self) -> tuple[str, ...]:
        """None are an empty or half-written file, not a machine without: then those of before count."""
        named = self._named("etc/resolv.conf")
        if any(address.is_loopback for address in named):
            named += self._named(_BEHIND_STUB)
        found = tuple(dict.fromkeys(str(address) for address in named if not address.is_loopback))
        if named:
            self._resolvers = found
        return self._resolvers

    def attached(self) -> tuple[str, ...]:
        return tuple(sorted({*self._attached4(), *self._attached6()}))

    def _named(self, path: str) -> list[ipaddress.IPv4Address | ipaddress.IPv6Address]:
        found = []
        for text in _NAME_SERVER.findall(self._text(path)):
            try:
                found.append(ipaddress.ip_address(text.partition("%")[0]))
            except ValueError:
                continue
        return found

    def _attached4(self) -> Iterator[str]:
        """Routes without a gateway (proc_net_route in the kernel's fib_trie.c) that an own address lies in. A route
        without one is somebody's way to a host elsewhere."""
        own = [ipaddress.IPv4Address(text) for text in _OWN.findall(self._text("proc/net/fib_trie"))]
        for line in self._text("proc/net/route").splitlines()[1:]:
            fields = line.split()
            if len(fields) < 8 or fields[2] != "00000000":
                continue
            address, mask = (int(fields[at], 16).to_bytes(4, sys.byteorder) for at in (1, 7))
            network = ipaddress.IPv4Network((address, int.from_bytes(mask, "big").bit_count()), strict=False)
            if 0 < network.prefixlen < 32 and any(one in network for one in own):
                yield str(network)

    def _attached6(self) -> Iterator[str]:
        for line in self._text("proc/net/if_inet6").splitlines():
            address, _, length, *_ = line.split()
            network = ipaddress.IPv6Network((bytes.fromhex(address), int(length, 16)), strict=False)
            if 0 < network.prefixlen < 128:
                yield str(network)

    def _text(self, path: str) -> str:
        try:
            return (self._root / path).read_text("ascii", "replace")
        except OSError:
            return ""
