"""Whether people can come in under `host`, by what its name leads to. Pure."""

from __future__ import annotations

from collections.abc import Mapping

from hubagent.config.reading.notices import Notice


def judge(host: str | None, addresses: Mapping[str, bool] | None) -> Notice | None:
    """`addresses` that the name leads to, and whether each is this machine's; None when nobody could tell in time.

    Nothing here is an error: a machine may be set up offline, or stand behind another one's address."""
    if host is None:
        return None
    if addresses is None:
        return Notice("host", f"could not look up {host}; other names will get no answer")
    if not addresses:
        return Notice(
            "host",
            f"{host} has no DNS entry that this machine can see, and other names and addresses will get no answer "
            "(444): create the DNS entry first, or remove the line until then",
        )
    if any(addresses.values()):
        return None
    return Notice(
        "host",
        f"{host} resolves to {', '.join(sorted(addresses))}, which is not this machine. That is correct behind NAT or"
        " another proxy that passes the name on; otherwise people reach another machine",
    )
