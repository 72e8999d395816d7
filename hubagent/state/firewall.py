"""The packet filter of the user containers, as one nft file (nft(8))."""

from __future__ import annotations

import ipaddress

from hubagent.layout import BRIDGE, HUB_PORT

_RULES = """\
# Written by hubagent. User containers reach the hub and the internet; not the host, not each
# other, not the cloud's metadata address.
table inet hubagent
delete table inet hubagent
table inet hubagent {{
    chain input {{
        type filter hook input priority filter - 5; policy accept;
        iifname != "{bridge}" accept
        ct state established,related accept
        ip daddr {gateway} tcp dport {hub_port} accept
        reject with icmpx type admin-prohibited
    }}
    chain forward {{
        type filter hook forward priority filter - 5; policy accept;
        iifname != "{bridge}" accept
        oifname "{bridge}" drop
        ip daddr 169.254.0.0/16 reject with icmpx type admin-prohibited
        ip6 daddr {{ fe80::/10, fd00:ec2::254 }} reject with icmpx type admin-prohibited
    }}
}}
"""


def rules(*, gateway: str) -> bytes:
    """The nft file; `gateway` is the host's IPv4 address on the bridge. ValueError for anything else."""
    address = ipaddress.IPv4Address(gateway)
    return _RULES.format(bridge=BRIDGE, gateway=address, hub_port=HUB_PORT).encode()
