"""Docker's networks of users' containers: made when missing, and made anew when somebody else made them differently.

Only a network that no running container is in is touched. What is wrong with one that is in use is said, and the packet
filter covers the bridge that it really has.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from dataclasses import dataclass

from hubagent.config.model import Config
from hubagent.converge.ports import Ports
from hubagent.errors import ContainerError, EngineAbsentError
from hubagent.layout import BRIDGES, NETWORK, bridge_of, network_of
from hubagent.ports import Network

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Found:
    """The networks as they are: the hub's address, and bridges that are not named as ours are."""

    gateway: str
    foreign_bridges: tuple[str, ...] = ()


def wanted(config: Config) -> dict[str, str]:
    """Bridges by the names of the networks that this configuration needs."""
    own = {
        network_of(one.name, own=True): bridge_of(one.name, own=True)
        for one in config.servers
        if one.networks
    }
    return {NETWORK: bridge_of("", own=False), **own}


def fault(network: Network, bridge: str) -> str:
    """Why users' servers are not apart in this network as they should be; empty when they are."""
    faults = []
    if network.bridge != bridge:
        faults.append(f"its bridge is {network.bridge or 'none'}, not {bridge}")
    if not network.gateway:
        faults.append("it has no IPv4, so its containers cannot reach the hub")
    if not network.isolated:
        faults.append("its containers reach each other")
    return " and ".join(faults)


def unsuitable(ports: Ports, config: Config) -> dict[str, str]:
    """Those of the networks that are there and could not be put right, with why; none while Docker is silent."""
    found = {}
    for name, bridge in wanted(config).items():
        try:
            network = ports.engine.network(name)
        except ContainerError:
            return {}
        what = fault(network, bridge) if network is not None else ""
        if what:
            found[name] = what
    return found


def problems(ports: Ports, config: Config) -> tuple[str, ...]:
    """What is wrong with the networks, in words, with what to do."""
    return tuple(_said(name, what) for name, what in unsuitable(ports, config).items())


def _said(name: str, what: str) -> str:
    return (
        f"Docker's network {name} was not created by hubagent: {what}. No slots are kept there now, and it is created"
        " again once no user's server uses it: stop them on the hub's admin page"
    )


def ensure(config: Config, ports: Ports, *, known: Found | None, also: Config | None = None) -> Found:
    """See to it that there is every network that `config` needs; those that `also` needs are left alone.
    `known` stands in while Docker does not answer. Raises ContainerError."""
    needed = wanted(config)
    kept = {*needed, *(wanted(also) if also is not None else ())}
    try:
        networks = {name: _ensure(ports, name, bridge, kept) for name, bridge in needed.items()}
    except EngineAbsentError:
        if known is None:
            raise
        return known
    if not networks[NETWORK].gateway:
        raise ContainerError(_said(NETWORK, fault(networks[NETWORK], needed[NETWORK])))
    foreign = {one.bridge for one in networks.values() if one.bridge and not one.bridge.startswith(BRIDGES)}
    return Found(networks[NETWORK].gateway, tuple(sorted(foreign)))


def _ensure(ports: Ports, name: str, bridge: str, kept: Collection[str]) -> Network:
    network = ports.engine.network(name)
    if network is not None and fault(network, bridge) and _remove(ports, name):
        log.warning("the network %s was not as hubagent creates it, and is created again", name)
        network = None
    if network is None:
        _make_room(ports, kept)
        network = ports.engine.create_network(name, bridge=bridge)
    return network


def _make_room(ports: Ports, kept: Collection[str]) -> None:
    """Docker has addresses for some thirty networks: those of entries that are gone give theirs back."""
    for network in ports.engine.networks():
        if network.name not in kept:
            _remove(ports, network.name)


def _remove(ports: Ports, name: str) -> bool:
    try:
        ports.engine.remove_network(name)
    except EngineAbsentError:
        raise
    except ContainerError:  # a container is in it
        return False
    return True
