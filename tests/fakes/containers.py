"""A container engine that tests script."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from hubagent.errors import ContainerError, EngineAbsentError
from hubagent.ports import Container, EngineFacts, Network


class FakeContainerRuntime:
    """`ports.ContainerRuntime` over plain values: image names to ids, networks, containers.

    `stop` takes the engine away, `start` brings it back, `refuse` makes the next call of that name fail.
    `journal` holds every call, e.g. ("create_network", "hubagent").
    """

    def __init__(
        self,
        *,
        images: Mapping[str, str] | None = None,
        networks: Iterable[Network] = (),
        containers: Iterable[Container] = (),
        version: str = "20.10.24",
        live_restore: bool = True,
    ) -> None:
        self.images = dict(images or {})
        self.by_name = {network.name: network for network in networks}
        self.running = list(containers)
        self.live_restore = live_restore
        self.swarm_state = "inactive"
        self.userns_remap = self.rootless = False
        self.used: set[str] = set()  # names of networks that running containers are in
        self.journal: list[tuple[str, str]] = []
        self._version = version
        self._is_up = True
        self._refusals: dict[str, str] = {}

    def facts(self) -> EngineFacts:
        self._call("facts", "")
        return EngineFacts(
            self._version,
            self.live_restore,
            self.swarm_state,
            self.userns_remap,
            self.rootless,
        )

    def swarm(self) -> str:
        self._call("swarm", "")
        return self.swarm_state

    def network(self, name: str) -> Network | None:
        self._call("network", name)
        return self.by_name.get(name)

    def create_network(self, name: str, *, bridge: str) -> Network:
        self._call("create_network", name)
        if name in self.by_name:
            raise ContainerError(f"the network {name} cannot be created: it exists already")
        third = 18 + len(self.by_name)
        labels = {"hubagent.network": name}
        made = Network(name, f"172.{third}.0.1", labels, bridge)
        self.by_name[name] = made
        return made

    def networks(self) -> tuple[Network, ...]:
        self._call("networks", "")
        return tuple(one for one in self.by_name.values() if "hubagent.network" in one.labels)

    def remove_network(self, name: str) -> None:
        self._call("remove_network", name)
        if name in self.used:
            raise ContainerError(f"cannot remove the network {name}: it has active endpoints")
        self.by_name.pop(name, None)

    def image_id(self, image: str) -> str | None:
        self._call("image_id", image)
        return self.images.get(image)

    def containers(self, *, label: str) -> tuple[Container, ...]:
        self._call("containers", label)
        key, _, value = label.partition("=")
        return tuple(
            container
            for container in self.running
            if key in container.labels and (not value or container.labels[key] == value)
        )

    def close(self) -> None:
        self.journal.append(("close", ""))

    def stop(self) -> None:
        self._is_up = False

    def start(self) -> None:
        self._is_up = True

    def refuse(self, call: str, why: str) -> None:
        self._refusals[call] = why

    def _call(self, what: str, about: str) -> None:
        self.journal.append((what, about))
        if not self._is_up:
            raise EngineAbsentError("Docker does not answer; see `systemctl status docker.service`")
        if what in self._refusals:
            raise ContainerError(self._refusals.pop(what))
