"""Facts about this machine, gathered in one place."""

from __future__ import annotations

import socket
from collections.abc import Mapping

from hubagent.adapters.machine.nginx_facts import NginxFacts
from hubagent.adapters.net import listeners, name_lookup
from hubagent.adapters.net.network_facts import NetworkFacts
from hubagent.adapters.systemd import journal
from hubagent.ports import Listener, Process
from hubagent.render.nginx import Version


class LocalMachineFacts:
    """`ports.MachineFacts` of the machine that this process runs on."""

    def __init__(self, nginx: NginxFacts | None = None, network: NetworkFacts | None = None) -> None:
        self._nginx = nginx or NginxFacts()
        self._network = network or NetworkFacts()

    def nginx_versions(self) -> tuple[Version, Version]:
        return self._nginx.versions()

    def nginx_old_workers(self) -> int:
        return self._nginx.old_workers()

    def nginx_connections(self) -> int | None:
        return self._nginx.connections()

    def nginx_complaint(self, since_s: float) -> str | None:
        return self._nginx.complaint(since_s)

    def journal(self, unit: str, since_s: float) -> tuple[str, ...]:
        return journal.lines_of(unit, since_s)

    def listener(self, port: int) -> str | None:
        return listeners.listener(port)

    def listeners(self, port: int) -> tuple[Listener, ...]:
        return listeners.listeners(port)

    def connections(self, port: int) -> int:
        return listeners.connections(port)

    def process(self, pid: int) -> Process | None:
        return listeners.process(pid)

    def ipv6(self) -> bool:
        # Only trying tells: the family may be missing from the kernel, disabled, or out of bounds here.
        try:
            with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as probe:
                probe.bind(("::", 0))
        except OSError:
            return False
        return True

    def resolvers(self) -> tuple[str, ...]:
        return self._network.resolvers()

    def attached(self) -> tuple[str, ...]:
        return self._network.attached()

    def addresses(self, name: str) -> Mapping[str, bool] | None:
        return name_lookup.addresses(name)
