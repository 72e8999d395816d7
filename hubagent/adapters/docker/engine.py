"""Docker as the reconciler sees it: the engine itself, networks, images, whose containers there are."""

from __future__ import annotations

import ipaddress
import time
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import docker.errors

from hubagent.adapters.docker.client import DOCKER_SOCKET, DockerClient
from hubagent.adapters.docker.events import EngineEvents
from hubagent.errors import ContainerError
from hubagent.ports import Container, EngineFacts, Network

NETWORK_LABEL: Final = "hubagent.network"

_BRIDGE: Final = "com.docker.network.bridge.name"
_ICC: Final = "com.docker.network.bridge.enable_icc"

_TIMEOUT_S: Final = 10
_REMEMBER_S: Final = 60.0  # a network, at most, and only while Docker tells what happens to it


class DockerEngine:
    """`ports.ContainerRuntime` over Docker's socket."""

    def __init__(self, base_url: str = DOCKER_SOCKET, *, timeout_s: int = _TIMEOUT_S) -> None:
        self._docker = DockerClient(base_url, timeout_s=timeout_s)
        self._events: EngineEvents | None = None
        self._networks: dict[str, tuple[Network, float]] = {}  # with the end of its validity (monotonic)
        self._changes = 0  # tells a reader that what it read may be older than an event

    def facts(self) -> EngineFacts:
        info = self._docker.call("cannot read Docker's facts about itself", lambda client: client.info())
        return _facts(info)

    def swarm(self) -> str:
        def ping(client: Any) -> str | None:
            answer = client._get(client._url("/_ping"))
            state: str | None = answer.headers.get("Swarm")  # "inactive", "active/worker", "active/manager" …
            return state

        state = self._docker.call("cannot read Docker's swarm state", ping)
        # Docker 20.10 does not say so there yet.
        return self.facts().swarm if state is None else state.partition("/")[0]

    def network(self, name: str) -> Network | None:
        is_told = self._events is not None and self._events.is_following
        known, until_s = self._networks.get(name, (None, 0.0))
        if known is not None and is_told and time.monotonic() < until_s:
            return known
        changes = self._changes
        # By list, not by inspect: that takes the beginning of another network's id for a name. The list's
        # filter also lets longer names through.
        found = self._docker.call(
            f"cannot look up the network {name}", lambda client: client.networks(names=[name])
        )
        network = next((_network(facts) for facts in found if facts["Name"] == name), None)
        if network is not None and is_told and changes == self._changes:
            self._networks[name] = (network, time.monotonic() + _REMEMBER_S)
        return network

    def create_network(self, name: str, *, bridge: str) -> Network:
        if self.network(name) is not None:
            raise ContainerError(f"the network {name} cannot be created: it exists already; use it as it is")
        self._docker.call(
            f"cannot create the network {name}",
            lambda client: client.create_network(
                name,
                driver="bridge",
                options={
                    _BRIDGE: bridge,
                    _ICC: "false",
                },
                labels={NETWORK_LABEL: name},
            ),
        )
        made = self.network(name)
        if made is None:
            raise ContainerError(
                f"the network {name} was created but has disappeared; find out what removes it"
            )
        return made

    def networks(self) -> tuple[Network, ...]:
        found = self._docker.call(
            "cannot list the networks", lambda client: client.networks(filters={"label": NETWORK_LABEL})
        )
        return tuple(_network(facts) for facts in found)

    def remove_network(self, name: str) -> None:
        def remove(client: Any) -> None:
            for facts in client.networks(names=[name]):
                if facts["Name"] == name:
                    client.remove_network(facts["Id"])

        try:
            self._docker.call(f"cannot remove the network {name}", remove)
        finally:
            self._networks.pop(name, None)

    def image_id(self, image: str) -> str | None:
        def inspect(client: Any) -> str | None:
            try:
                return str(client.inspect_image(image)["Id"])
            except docker.errors.NotFound:
                return None

        return self._docker.call(f"cannot look up the image {image}", inspect)

    def containers(self, *, label: str) -> tuple[Container, ...]:
        found = self._docker.call(
            "cannot list the containers", lambda client: client.containers(all=True, filters={"label": label})
        )
        return tuple(
            Container(
                id=facts["Id"],
                name=facts["Names"][0].removeprefix("/") if facts["Names"] else "",
                image=facts["Image"],
                state=facts["State"],
                labels=dict(facts["Labels"] or {}),
            )
            for facts in found
        )

    def watch(self, on_change: Callable[[], None]) -> None:
        """From now on call on_change, in another thread, when a network, a container or the connection to the
        engine changed. Only a hint: it may come without cause, or too late."""

        def changed() -> None:
            self._changes += 1
            self._networks.clear()
            on_change()

        self._events = EngineEvents(self._docker.connect, changed)
        self._events.start()

    def close(self) -> None:
        if self._events is not None:
            self._events.stop()
        self._docker.close()


def _facts(info: Mapping[str, Any]) -> EngineFacts:
    options = {str(option).partition(",")[0] for option in info.get("SecurityOptions") or ()}
    return EngineFacts(
        version=info["ServerVersion"],
        live_restore=bool(info.get("LiveRestoreEnabled")),
        swarm=str((info.get("Swarm") or {}).get("LocalNodeState") or "inactive"),
        userns_remap="name=userns" in options,
        rootless="name=rootless" in options,
    )


def _network(facts: Mapping[str, Any]) -> Network:
    return Network(
        name=facts["Name"],
        gateway=_gateway((facts.get("IPAM") or {}).get("Config") or ()),
        labels=dict(facts["Labels"] or {}),
        bridge=_bridge(facts),
        isolated=(facts.get("Options") or {}).get(_ICC) == "false",
    )


def _gateway(configs: Iterable[Mapping[str, Any]]) -> str:
    """The host's IPv4 address; empty where there is no IPv4. Docker takes the first address of a subnet
    when nobody names another, and need not say so."""
    for config in configs:
        subnet = config.get("Subnet", "")
        if subnet and ":" not in subnet:
            first = str(ipaddress.IPv4Network(subnet, strict=False).network_address + 1)
            return str(config.get("Gateway") or first).partition("/")[0]
    return ""


def _bridge(facts: Mapping[str, Any]) -> str:
    """Empty for a network that has none, such as one of another driver."""
    if facts.get("Driver", "bridge") != "bridge":
        return ""
    return str((facts.get("Options") or {}).get(_BRIDGE) or f"br-{facts['Id'][:12]}")
