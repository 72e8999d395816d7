"""Docker as it is: what it says of itself, asked seldom, and what of that a person should know."""

from __future__ import annotations

from typing import Final

from hubagent.converge.docker_settings import KEY, docker_settings
from hubagent.converge.ports import Ports
from hubagent.errors import ContainerError
from hubagent.layout import DOCKER
from hubagent.ports import ActiveState, EngineFacts

_REMEMBERED_S: Final = 300.0


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
        return () if engine is None else tuple(self._said(engine))

    def _said(self, engine: EngineFacts) -> list[str]:
        settings, path = docker_settings(self._ports), self._ports.layout.docker_config
        found = []
        if engine.in_swarm:
            found.append(
                "Docker is in a swarm, where it cannot keep containers over its own restart (live-restore): each"
                " restart of Docker stops all users' servers. Take this machine out of it (docker swarm leave)"
            )
            if settings.get(KEY) is True:
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
        return found
