"""Finds out whether homes can be attached to slots before a user does: with a volume of the agent's own.

It goes the whole way of a claim but for the container: Docker says where the volume lies, the homes helper attaches it
to a slot's folder, with the folders that the configuration puts into homes. A data-root elsewhere, a course folder that
is not there and a helper that may not mount are found so.
"""

from __future__ import annotations

import logging
import secrets
from collections.abc import Mapping, Sequence
from typing import Final

from hubagent.config.model import Server
from hubagent.errors import ContainerError, HomeError
from hubagent.pool.claims import folders_in_home
from hubagent.pool.ports import PoolPorts

log = logging.getLogger(__name__)

VOLUME: Final = "hubagent-home-check"

EVERY_S: Final = 600.0
"""How often it is found out anew while all is well: Docker may have been moved, the helper restarted (seconds)."""

AGAIN_S: Final = 30.0
"""How often while it is not."""


class HomeCheck:
    """Used by the keeper's thread alone."""

    def __init__(self, ports: PoolPorts) -> None:
        self._containers = ports.containers
        self._homes = ports.homes
        self._clock = ports.clock
        self._faults: dict[str, str] = {}
        self._wanted: Sequence[object] = ()
        self._due_s = float("-inf")

    def invalidate(self) -> None:
        """Docker was away, or a person asks: what was found may not hold any more."""
        self._due_s = float("-inf")

    def check(self, servers: Sequence[Server]) -> Mapping[str, str]:
        """Why no home can be attached, by the server's name, of those where that is so. While Docker does not do its
        part nothing is found out, and the last answer stands."""
        wanted = [(server.name, server.home, server.mounts) for server in servers]
        now_s = self._clock.monotonic()
        if servers and (wanted != self._wanted or now_s >= self._due_s):
            self._wanted = wanted
            self._due_s = now_s + AGAIN_S
            try:
                self._faults = self._check(servers)
            except ContainerError as error:
                log.warning("cannot find out whether homes can be attached: %s", error)
                return self._faults
            self._due_s = now_s + (AGAIN_S if self._faults else EVERY_S)
        return self._faults if servers else {}

    def _check(self, servers: Sequence[Server]) -> dict[str, str]:
        self._containers.create_volume(VOLUME, {})
        try:
            source = self._containers.volume_path(VOLUME)
            if not source:
                raise ContainerError(
                    f"the volume {VOLUME} was created but cannot be found; find out what removes it"
                )
            return {server.name: fault for server in servers if (fault := self._attach(server, source))}
        finally:
            self._clear()

    def _attach(self, server: Server, source: str) -> str:
        slot = secrets.token_hex(6)
        try:
            self._homes.prepare(slot)
            self._homes.attach(slot, source, folders_in_home(server))
        except HomeError as error:
            return str(error)
        finally:
            self._detach(slot)
        return ""

    def _detach(self, slot: str) -> None:
        try:
            self._homes.detach(slot)
        except HomeError as error:  # the keeper removes what no slot has
            log.warning("after a check of homes: %s", error)

    def _clear(self) -> None:
        try:
            self._containers.remove_volume(VOLUME)
        except ContainerError as error:  # it is used again by the next check
            log.info("%s", error)
