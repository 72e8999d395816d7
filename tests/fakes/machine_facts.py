"""Facts about a machine that tests choose."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from hubagent.errors import TemporaryError
from hubagent.ports import Listener, Process

Version = tuple[int, int, int]


class FakeMachineFacts:
    """`ports.MachineFacts` over plain values; all of them may be changed while a test runs."""

    def __init__(
        self,
        *,
        nginx: Version | None = (1, 22, 1),
        openssl: Version = (3, 0, 19),
        old_workers: int = 0,
        listeners: Mapping[int, str] | None = None,
        has_ipv6: bool = True,
        complaint: str | None = None,
        connections: int | None = 1536,
        resolvers: tuple[str, ...] = ("10.0.0.53",),
        attached: tuple[str, ...] = (),
        names: Mapping[str, Mapping[str, bool] | None] | None = None,
    ) -> None:
        self.nginx = nginx
        self.openssl = openssl
        self.old_workers = old_workers
        self.held = dict(listeners or {})
        self.has_ipv6 = has_ipv6
        self.complaint = complaint
        self.nginx_limit = connections
        self.sockets: list[Listener] = []
        self.is_open: Callable[[Listener], bool] = lambda _socket: True  # whose process still runs
        self.established: dict[int, int] = {}  # connections by port
        self.process_by: Callable[[int], Process | None] = lambda _pid: None
        self.name_servers = resolvers
        self.cables = attached
        self.journals: dict[str, list[str]] = {}
        """What each unit's processes logged, whenever that was."""
        self.names = dict(names or {})  # others lead here

    def nginx_versions(self) -> tuple[Version, Version]:
        if self.nginx is None:
            raise TemporaryError("nginx is not installed; install the package nginx")
        return self.nginx, self.openssl

    def nginx_old_workers(self) -> int:
        return self.old_workers

    def nginx_connections(self) -> int | None:
        return self.nginx_limit

    def nginx_complaint(self, since_s: float) -> str | None:
        return self.complaint

    def journal(self, unit: str, since_s: float) -> tuple[str, ...]:
        return tuple(self.journals.get(unit, ()))

    def listener(self, port: int) -> str | None:
        return self.held.get(port)

    def listeners(self, port: int) -> tuple[Listener, ...]:
        return tuple(one for one in self.sockets if one.port == port and self.is_open(one))

    def connections(self, port: int) -> int:
        return self.established.get(port, 0)

    def process(self, pid: int) -> Process | None:
        return self.process_by(pid)

    def ipv6(self) -> bool:
        return self.has_ipv6

    def resolvers(self) -> tuple[str, ...]:
        return self.name_servers

    def attached(self) -> tuple[str, ...]:
        return self.cables

    def addresses(self, name: str) -> Mapping[str, bool] | None:
        return self.names.get(name, {"192.0.2.1": True})
