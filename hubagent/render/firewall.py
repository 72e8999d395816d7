"""The packet filter of the user containers, as one nft file (nft(8))."""

from __future__ import annotations

import hashlib
import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from hubagent.config.kinds.places import OpenNetwork
from hubagent.layout import BRIDGES, HUB_PORT

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network

CLOSED4: Final = (
    # What RFC 6890 and its registry call private, shared, link-local, loopback, reserved or for measurements, and
    # multicast. 192.88.99.0/24 are relays to IPv6 (RFC 7526). Documentation's own ranges lead nowhere, and stay open.
    *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16", "172.16.0.0/12"),
    *("192.0.0.0/24", "192.88.99.0/24", "192.168.0.0/16", "198.18.0.0/15", "224.0.0.0/3"),
)
"""IPv4 that no container reaches unless it is opened by name."""

CLOSED6: Final = (
    # The same, and what carries an IPv4 address within: compatible, mapped and translated ones, local NAT64, 6to4,
    # Teredo. The well-known NAT64 prefix is how some networks reach the internet: of it the private addresses alone.
    *("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "100::/64", "2001::/32", "2002::/16"),
    *("fc00::/7", "fe80::/10", "fec0::/10", "ff00::/8"),
)
"""IPv6, likewise. Containers have none of it today; what a network might give them is closed from the start."""

_NAT64: Final = ipaddress.IPv6Network("64:ff9b::/96")

_RULES = """\
# Written by hubagent. User containers reach the hub, the machine's name servers, the internet, and the private
# networks that their entry of `servers` names; not the host, not each other, not other private networks.
table inet hubagent
delete table inet hubagent
table inet hubagent {{
    chain input {{
        type filter hook input priority filter - 5; policy accept;
{to_machine}\
    }}
    chain forward {{
        type filter hook forward priority filter - 5; policy accept;
{beyond}\
    }}
    chain to_machine {{
        # Answers alone: what a container begins is judged packet by packet, so that what gets closed ends.
        ct direction reply ct state established,related accept
        ip daddr {gateway} tcp dport {hub_port} accept
{resolvers}\
        reject with icmpx type admin-prohibited
    }}
    chain beyond {{
{to_containers}\
        ct direction reply ct state established,related accept
{resolvers}\
{opened}\
        ip daddr {{ {closed4} }} reject with icmpx type admin-prohibited
        ip6 daddr {{ {closed6} }} reject with icmpx type admin-prohibited
    }}
{chains}\
}}
"""
_BEYOND: Final = re.compile(r'iifname "([^"]+)" jump beyond')
_BRIDGE: Final = re.compile(r"[A-Za-z0-9_.-]{1,15}")


def rules(
    *,
    gateway: str,
    resolvers: Iterable[str] = (),
    attached: Iterable[str] = (),
    foreign_bridges: Iterable[str] = (),
    opened: Mapping[str, Sequence[OpenNetwork]] | None = None,
) -> bytes:
    """The nft file.

    `gateway` is the host's IPv4 address where the hub listens; `resolvers` are the addresses of the machine's name
    servers; `attached` are the networks on the machine's own cables, which may have public addresses; `foreign_bridges`
    are those of networks of ours whose bridge is not named as we name it; `opened` is by bridge.
    ValueError for what is no address or no name of an interface.
    """
    networks = [ipaddress.ip_network(text) for text in attached]
    bridges = [f"{BRIDGES}*", *(_bridge(name) for name in sorted(set(foreign_bridges)))]
    wanted = {_bridge(name): targets for name, targets in sorted((opened or {}).items())}
    return _RULES.format(
        to_machine=_lines(f'iifname "{bridge}" jump to_machine' for bridge in bridges),
        beyond=_lines(f'iifname "{bridge}" jump beyond' for bridge in bridges),
        to_containers=_lines(f'oifname "{bridge}" drop' for bridge in bridges),
        gateway=ipaddress.IPv4Address(gateway),
        hub_port=HUB_PORT,
        resolvers=_lines(_resolvers(map(ipaddress.ip_address, resolvers))),
        opened=_lines(f'iifname "{bridge}" jump {_chain(bridge)}' for bridge in wanted),
        closed4=_set([*map(ipaddress.ip_network, CLOSED4), *networks], 4),
        closed6=_set([*map(ipaddress.ip_network, CLOSED6), *_nat64(), *networks], 6),
        chains="".join(
            f"    chain {_chain(bridge)} {{\n{_lines(map(_accept, targets))}    }}\n"
            for bridge, targets in wanted.items()
        ),
    ).encode()


def closes_private_networks(content: bytes) -> bool:
    """Whether this nft file does. Those of the first versions left them open."""
    return b"chain beyond {" in content


def foreign_bridges(content: bytes) -> tuple[str, ...]:
    """Those that an nft file was made with."""
    return tuple(name for name in _BEYOND.findall(content.decode()) if not name.startswith(BRIDGES))


def is_closed(network: IPNetwork) -> bool:
    """Whether all of it is in one of the private networks above."""
    ranges = (*map(ipaddress.ip_network, (*CLOSED4, *CLOSED6)), *_nat64())
    return any(
        one.version == network.version
        and one.network_address <= network.network_address  # type: ignore[operator]
        and network.broadcast_address <= one.broadcast_address  # type: ignore[operator]
        for one in ranges
    )


def _nat64() -> Iterable[ipaddress.IPv6Network]:
    for closed in map(ipaddress.IPv4Network, CLOSED4):
        inside = int(_NAT64.network_address) | int(closed.network_address)
        yield ipaddress.IPv6Network((inside, 96 + closed.prefixlen))


def _set(networks: Iterable[IPNetwork], version: int) -> str:
    """Elements of an nft set, none within another, which nft refuses."""
    if version == 4:
        found4 = [network for network in networks if isinstance(network, ipaddress.IPv4Network)]
        return ", ".join(map(str, ipaddress.collapse_addresses(found4)))
    found6 = [network for network in networks if isinstance(network, ipaddress.IPv6Network)]
    return ", ".join(map(str, ipaddress.collapse_addresses(found6)))


def _resolvers(addresses: Iterable[IPAddress]) -> Iterator[str]:
    for address in sorted(set(addresses), key=lambda one: (one.version, int(one))):
        family = "ip" if address.version == 4 else "ip6"
        yield f"{family} daddr {address} meta l4proto {{ tcp, udp }} th dport 53 accept"


def _accept(target: OpenNetwork) -> str:
    port = "" if target.port is None else f" {target.protocol} dport {target.port}"
    return f"ip daddr {target.network}{port} accept"


def _lines(rules: Iterable[str]) -> str:
    return "".join(f"        {rule}\n" for rule in rules)


def _bridge(name: str) -> str:
    if not _BRIDGE.fullmatch(name):
        raise ValueError(f"{name!r} is not the name of an interface")
    return name


def _chain(bridge: str) -> str:
    """A name that nft takes, whatever the bridge is called."""
    return f"open_{hashlib.sha256(bridge.encode()).hexdigest()[:12]}"
