"""What users' servers stand in: Docker with its settings and networks, and the packet filter in the kernel.

/etc/docker/daemon.json is the administrator's: one key of it is ours, live-restore, and not always. Networks of users'
containers are made when missing, and made anew when somebody else made them differently; only one that no running
container is in is touched. What is wrong and not hubagent's to change is said.
"""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from hubagent.codec import json_object
from hubagent.config.model import Config
from hubagent.converge.ports import Ports
from hubagent.errors import ContainerError, EngineAbsentError, StorageError
from hubagent.layout import BRIDGES, DOCKER, FIREWALL, FIREWALL_WATCH, NETWORK, bridge_of, network_of
from hubagent.ports import ActiveState, EngineFacts, Network
from hubagent.state.model import Component
from hubagent.state.status import Problem, Reason

log = logging.getLogger(__name__)

_LIVE_RESTORE: Final = "live-restore"
_DATA_ROOT: Final = "/var/lib/docker"
_MAX_SETTINGS_BYTES: Final = 1024**2

_REMEMBERED_S: Final = 300.0

_FIREWALL_NOTES: Final = "run/hubagent-firewall"
_NOTHING: Final = hashlib.sha256(b"").hexdigest()
"""Of a table that is not there."""


def docker_settings(ports: Ports) -> dict[str, Any]:
    """As they are in the file; empty where there is none, or one that Docker does not take either."""
    try:
        return _parsed(_content(ports))
    except (ValueError, StorageError):
        return {}


def docker_config(ports: Ports, engine: EngineFacts | None) -> bytes | None:
    """The daemon.json that should be there: live-restore on and everything else kept, so that containers survive
    a restart of Docker. On a member of a swarm Docker does not start with it: then without it, if it is there as
    hubagent writes it.

    None where the file is left alone: an administrator has decided about live-restore or wrote something that is
    no JSON object, or Docker is in a swarm or does not say whether it is. StorageError when it cannot be read.
    """
    content = _content(ports)
    try:
        value = _parsed(content)
    except ValueError:
        return None
    rest = {key: one for key, one in value.items() if key != _LIVE_RESTORE}
    written = _dumped({**rest, _LIVE_RESTORE: True})
    if _is_in_swarm(ports, engine, value):
        is_ours = value.get(_LIVE_RESTORE) is True and content == written
        return _dumped(rest) if is_ours else None
    if _LIVE_RESTORE in value:
        return content if value[_LIVE_RESTORE] is True else None
    return written if engine is not None else None


def _is_in_swarm(ports: Ports, engine: EngineFacts | None, settings: Mapping[str, Any]) -> bool:
    """By Docker's own word, and while it does not answer by what it keeps of its swarm between starts."""
    if engine is not None:
        return engine.in_swarm
    folder = Path(str(settings.get("data-root") or _DATA_ROOT))
    try:
        return ports.files.read(folder / "swarm/docker-state.json", max_bytes=_MAX_SETTINGS_BYTES) is not None
    except StorageError:
        return False


def _dumped(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, indent=2) + "\n").encode()


def _content(ports: Ports) -> bytes:
    state = ports.files.read(ports.layout.docker_config, max_bytes=_MAX_SETTINGS_BYTES)
    return b"" if state is None else state.content


def _parsed(content: bytes) -> dict[str, Any]:
    """Raises ValueError."""
    return json_object(content) if content.strip() else {}


@dataclass(frozen=True, slots=True)
class FoundNetworks:
    """The networks as they are: the hub's address, and bridges that are not named as ours are."""

    gateway: str
    foreign_bridges: tuple[str, ...] = ()


def wanted_networks(config: Config) -> dict[str, str]:
    """Bridges by the names of the networks that this configuration needs."""
    own = {
        network_of(one.name, own=True): bridge_of(one.name, own=True)
        for one in config.servers
        if one.networks
    }
    return {NETWORK: bridge_of("", own=False), **own}


def network_fault(network: Network, bridge: str) -> str:
    """Why users' servers are not apart in this network as they should be; empty when they are."""
    faults = []
    if network.bridge != bridge:
        faults.append(f"its bridge is {network.bridge or 'none'}, not {bridge}")
    if not network.gateway:
        faults.append("it has no IPv4, so its containers cannot reach the hub")
    if not network.isolated:
        faults.append("its containers reach each other")
    return " and ".join(faults)


def unsuitable_networks(ports: Ports, config: Config) -> dict[str, str]:
    """Those of the networks that are there and could not be put right, with why; none while Docker is silent."""
    found = {}
    for name, bridge in wanted_networks(config).items():
        try:
            network = ports.engine.network(name)
        except ContainerError:
            return {}
        what = network_fault(network, bridge) if network is not None else ""
        if what:
            found[name] = what
    return found


def _network_problems(ports: Ports, config: Config) -> tuple[str, ...]:
    """What is wrong with the networks, in words, with what to do."""
    return tuple(_network_words(name, what) for name, what in unsuitable_networks(ports, config).items())


def _network_words(name: str, what: str) -> str:
    return (
        f"Docker's network {name} was not created by hubagent: {what}. No slots are kept there now, and it is created"
        " again once no user's server uses it: stop them on the hub's admin page"
    )


def ensure_networks(
    config: Config, ports: Ports, *, known: FoundNetworks | None, also: Config | None = None
) -> FoundNetworks:
    """See to it that there is every network that `config` needs; those that `also` needs are left alone.
    `known` stands in while Docker does not answer. Raises ContainerError."""
    needed = wanted_networks(config)
    kept = {*needed, *(wanted_networks(also) if also is not None else ())}
    try:
        networks = {name: _ensure_network(ports, name, bridge, kept) for name, bridge in needed.items()}
    except EngineAbsentError:
        if known is None:
            raise
        return known
    if not networks[NETWORK].gateway:
        raise ContainerError(_network_words(NETWORK, network_fault(networks[NETWORK], needed[NETWORK])))
    foreign = {one.bridge for one in networks.values() if one.bridge and not one.bridge.startswith(BRIDGES)}
    return FoundNetworks(networks[NETWORK].gateway, tuple(sorted(foreign)))


def _ensure_network(ports: Ports, name: str, bridge: str, kept: Collection[str]) -> Network:
    network = ports.engine.network(name)
    if network is not None and network_fault(network, bridge) and _remove_network(ports, name):
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
            _remove_network(ports, network.name)


def _remove_network(ports: Ports, name: str) -> bool:
    try:
        ports.engine.remove_network(name)
    except EngineAbsentError:
        raise
    except ContainerError:  # a container is in it
        return False
    return True


class DockerFacts:
    """Asked seldom while all is as it should be: `docker info` is the most expensive question of a check, and nobody
    turns live-restore off in passing. Whether it is in a swarm, which excludes that, is asked at every check."""

    def __init__(self, ports: Ports) -> None:
        self._ports = ports
        self._known: EngineFacts | None = None
        self._until_s = 0.0

    def ask(self) -> EngineFacts | None:
        """None when Docker does not answer."""
        now_s = self._ports.clock.monotonic()
        try:
            known = self._known if now_s < self._until_s else None
            if known is not None and self._ports.engine.swarm() == known.swarm:
                return known
            found = self._ports.engine.facts()
        except ContainerError:
            return None
        is_settled = found.live_restore and not found.in_swarm
        self._known, self._until_s = (found, now_s + _REMEMBERED_S) if is_settled else (None, 0.0)
        return found

    def has_failed(self) -> bool:
        """Whether systemd has given up on starting it. UnitError when systemd does not answer."""
        return self._ports.units.unit(DOCKER).active is ActiveState.FAILED

    def problems(self, engine: EngineFacts | None) -> tuple[str, ...]:
        """In words, with what to do."""
        if engine is None:
            return ()
        settings, path = docker_settings(self._ports), self._ports.layout.docker_config
        found = []
        if engine.in_swarm:
            found.append(
                "Docker is in a swarm, where it cannot keep containers over its own restart (live-restore): each"
                " restart of Docker stops all users' servers. Take this machine out of it (docker swarm leave)"
            )
            if settings.get(_LIVE_RESTORE) is True:
                found.append(
                    f"Docker is in a swarm and will not start again with live-restore in {path}: remove it there"
                )
        if engine.rootless:
            found.append(
                "Docker runs without root (rootless): homes and limits of users' servers do not work there. Install"
                " Docker as Debian ships it"
            )
        if engine.userns_remap:
            found.append(
                "Docker maps users (userns-remap): homes belong to other users than servers run as. Remove it from"
                f" {path}"
            )
        return tuple(found)


def loaded_rules(ports: Ports) -> str | None:
    """The marker of the rules in the kernel; None when they are not those that were loaded, or nothing was."""
    return None if rules_fault(ports) else _noted(ports, "loaded") or None


def rules_fault(ports: Ports) -> str:
    """What is wrong with the rules that were loaded, in words; empty when they are in the kernel as they were."""
    listing, held = _noted(ports, "listing"), _noted(ports, "held")
    if not listing or not held or held == listing:
        return ""
    if held == _NOTHING:
        return "the kernel's packet filter of users' containers is gone"
    return "the kernel's packet filter of users' containers was changed by hand"


def _filter_problems(ports: Ports, *, docker_answers: bool) -> tuple[str, ...]:
    """What is not hubagent's to put right, in words, with what to do."""
    found = []
    if _noted(ports, "listing") and not _noted(ports, "held"):
        found.append(
            f"{FIREWALL_WATCH} does not run, so nobody sees whether the rules of {FIREWALL} are still in the kernel:"
            f" systemctl start {FIREWALL_WATCH}"
        )
    if docker_answers and _noted(ports, "docker") == "gone":
        found.append(
            "Docker's own rules in the packet filter are gone, as after `nft flush ruleset`: users' servers do not"
            f" reach the internet. systemctl restart {DOCKER} puts them back, and servers do not notice it"
        )
    return tuple(found)


def _noted(ports: Ports, name: str) -> str:
    state = ports.files.read(ports.layout.root / _FIREWALL_NOTES / name, max_bytes=4096)
    return "" if state is None else state.content.decode("ascii", "replace").strip()


def problems(
    ports: Ports, docker: DockerFacts, engine: EngineFacts | None, config: Config
) -> tuple[Problem, ...]:
    """With what to do about it. `engine` None: Docker does not answer, which is said elsewhere."""
    said = docker.problems(engine) + _network_problems(ports, config)
    unwatched = _filter_problems(ports, docker_answers=engine is not None)
    return (
        *(Problem(Component.DOCKER, Reason.DOCKER, words) for words in said),
        *(Problem(Component.FIREWALL, Reason.UNIT, words) for words in unwatched),
    )
