"""What the agent needs of the world, as Protocols, and the plain values that cross them.

Adapters implement these; tests/contract holds the fakes to the real ones.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol


class LoadState(enum.Enum):
    """systemd's LoadState (org.freedesktop.systemd1(5))."""

    STUB = "stub"
    LOADED = "loaded"
    NOT_FOUND = "not-found"
    BAD_SETTING = "bad-setting"
    ERROR = "error"
    MERGED = "merged"
    MASKED = "masked"


class ActiveState(enum.Enum):
    """systemd's ActiveState (org.freedesktop.systemd1(5))."""

    ACTIVE = "active"
    RELOADING = "reloading"
    INACTIVE = "inactive"
    FAILED = "failed"
    ACTIVATING = "activating"
    DEACTIVATING = "deactivating"
    MAINTENANCE = "maintenance"


class JobResult(enum.Enum):
    """systemd's JobRemoved result, and LOST when the signal never came and the job is gone."""

    DONE = "done"
    CANCELED = "canceled"
    TIMEOUT = "timeout"
    FAILED = "failed"
    DEPENDENCY = "dependency"
    SKIPPED = "skipped"
    LOST = "lost"


class UnitVerb(enum.Enum):
    """What may be asked of a unit. There is no reload-or-restart: the plan chooses."""

    START = "start"
    STOP = "stop"
    RESTART = "restart"
    RELOAD = "reload"


@dataclass(frozen=True, slots=True)
class UnitState:
    """One unit as systemd sees it, from one GetAll."""

    name: str
    load: LoadState
    active: ActiveState
    sub: str = ""
    main_pid: int = 0
    restarts: int = 0  # NRestarts: a gauge, ResetFailedUnit sets it back
    result: str = "success"
    active_since_s: float = 0.0  # CLOCK_MONOTONIC of the last change to active


class UnitManager(Protocol):
    """systemd. Every call has a deadline; every failure is an errors.UnitError."""

    def unit(self, name: str) -> UnitState:
        """State now; a unit that does not exist has LoadState.NOT_FOUND."""
        ...

    def run(self, verb: UnitVerb, name: str, *, timeout_s: float) -> JobResult:
        """Queue the job, wait for its JobRemoved, return the result. A verb that the unit does not
        have (reload without ExecReload) or an unknown unit raise UnitError, a passed deadline JobDeadlineError."""
        ...

    def reset_failed(self, name: str) -> None: ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Network:
    """A Docker bridge network."""

    name: str
    gateway: str  # address of the host on the bridge, e.g. 172.18.0.1
    labels: Mapping[str, str] = field(default_factory=dict)
    bridge: str = ""  # name of the interface
    isolated: bool = True  # its containers do not reach each other


@dataclass(frozen=True, slots=True)
class Container:
    """A container, with the few facts hubagent looks at."""

    id: str
    name: str
    image: str
    state: str  # created, running, paused, restarting, exited, dead
    labels: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class EngineFacts:
    """The container engine itself."""

    version: str
    live_restore: bool
    swarm: str = "inactive"  # LocalNodeState: inactive, pending, active, error, locked
    userns_remap: bool = False
    rootless: bool = False

    @property
    def in_swarm(self) -> bool:
        return self.swarm not in ("", "inactive")


class ContainerRuntime(Protocol):
    """Docker. Every call has a deadline; every failure is an errors.ContainerError."""

    def facts(self) -> EngineFacts: ...

    def swarm(self) -> str:
        """EngineFacts.swarm alone, which costs next to nothing where Docker is newer than 20.10."""
        ...

    def network(self, name: str) -> Network | None: ...

    def create_network(self, name: str, *, bridge: str) -> Network:
        """A bridge network without inter-container traffic; labelled as ours."""
        ...

    def networks(self) -> tuple[Network, ...]:
        """All networks that are labelled as ours."""
        ...

    def remove_network(self, name: str) -> None:
        """An absent one is fine. ContainerError while a running container is in it."""
        ...

    def image_id(self, image: str) -> str | None:
        """The image's id, or None when it is not on this machine."""
        ...

    def containers(self, *, label: str) -> tuple[Container, ...]:
        """All containers, running or not, that carry this label."""
        ...

    def close(self) -> None: ...


@dataclass(frozen=True, slots=True)
class FileState:
    """A regular file, read once and whole."""

    content: bytes
    mode: int  # permission bits
    owner: str
    group: str


class FileStore(Protocol):
    """Files. Failures are errors.StorageError, whose text names the path."""

    def read(self, path: Path, *, max_bytes: int) -> FileState | None:
        """None when nothing is there. A symlink is followed; anything but a regular file, a larger
        file, or one that changed while it was read (twice) raises StorageError."""
        ...

    def write(
        self, path: Path, content: bytes, *, mode: int, owner: str = "root", group: str = "root"
    ) -> None:
        """Atomic and durable: temporary file in the same folder, ownership and mode before content,
        fsync, rename, fsync of the folder. The parent must exist."""
        ...

    def make_dir(self, path: Path, *, mode: int, owner: str = "root", group: str = "root") -> None: ...

    def link(self, link: Path, target: str) -> None:
        """Point a symbolic link at target, atomically and durably."""
        ...

    def read_link(self, link: Path) -> str | None: ...

    def remove(self, path: Path) -> None:
        """Remove a file or a folder tree; absent is fine. Never follows a symbolic link."""
        ...

    def list_dir(self, path: Path) -> tuple[str, ...]:
        """Names, sorted; empty when the folder is absent."""
        ...

    def free_bytes(self, path: Path) -> int: ...


@dataclass(frozen=True, slots=True)
class HttpAnswer:
    """What a probe saw."""

    status: int
    body: bytes  # at most 1 MiB
    certificate_sha256: str | None = None  # hex, of the served leaf certificate (DER), with TLS
    headers: tuple[tuple[str, str], ...] = field(default=(), compare=False)  # names in lower case

    def header(self, name: str) -> str:
        """The first header of this name (lower case), empty without one."""
        return next((value for found, value in self.headers if found == name), "")


class HttpProbe(Protocol):
    """One request on a fresh connection. No answer is an errors.TemporaryError."""

    def request(
        self,
        url: str,
        *,
        method: str = "GET",
        headers: Mapping[str, str] | None = None,
        body: bytes | None = None,
        connect_to: str | None = None,
        timeout_s: float = 2.0,
    ) -> HttpAnswer:
        """`connect_to` is the IP address to dial while Host and SNI stay the URL's. Certificates are
        not verified (they are compared by fingerprint). Redirects are not followed."""
        ...


@dataclass(frozen=True, slots=True)
class CertificateFacts:
    """An X.509 leaf certificate with its key."""

    fingerprint_sha256: str  # hex, of the leaf (DER)
    not_before_s: float  # unix time
    not_after_s: float  # unix time
    names: tuple[str, ...]  # subjectAltName DNS and IP entries


class CertificateStore(Protocol):
    """Certificates and keys. Faults are errors.PreflightError that say which file and what to do."""

    def inspect(self, certificate: Path, key: Path) -> CertificateFacts:
        """Read the pair; raises PreflightError when unreadable, not PEM, or not a pair."""
        ...

    def create_self_signed(self, certificate: Path, key: Path, *, host: str | None) -> None:
        """Write a new key (0600) and a certificate for host (or the machine's name), valid for
        365 days, P-256."""
        ...

    def create_request(self, key: Path, *, names: tuple[str, ...]) -> str:
        """Write a new key (0600, P-256); a request for a certificate with it for these names (PKCS #10, PEM)."""
        ...


class Clock(Protocol):
    def monotonic(self) -> float: ...

    def time(self) -> float: ...

    def sleep(self, seconds: float) -> None: ...

    def zone(self) -> str:
        """The machine's time zone as it is now, such as "CET (+0100)"; from now on local times are in it."""
        ...


class Notifier(Protocol):
    """The service manager's notification socket (sd_notify(3))."""

    def ready(self, status: str) -> None: ...

    def status(self, status: str) -> None: ...

    def reloading(self) -> None: ...

    def stopping(self) -> None: ...

    def watchdog(self) -> None:
        """There is progress. Until `ready`, the start may last as long as there is."""
        ...

    @property
    def watchdog_interval_s(self) -> float | None:
        """How often to call `watchdog` (half of WatchdogSec), None without one."""
        ...


@dataclass(frozen=True, slots=True)
class Listener:
    """A listening TCP socket of this machine."""

    port: int
    address: str  # 127.0.0.1, 0.0.0.0, ::1 …
    user_id: int  # whose socket it is


@dataclass(frozen=True, slots=True)
class Process:
    """A process as anybody may see it."""

    user_id: int
    is_stopped: bool  # it or a child, by SIGSTOP or a terminal: it has its sockets, and answers nobody


class MachineFacts(Protocol):
    """Facts about the machine that cost little to ask."""

    def nginx_versions(self) -> tuple[tuple[int, int, int], tuple[int, int, int]]:
        """Of the installed nginx and the OpenSSL it runs with; TemporaryError when there is none."""
        ...

    def nginx_old_workers(self) -> int:
        """Workers that are shutting down but still hold connections."""
        ...

    def nginx_connections(self) -> int | None:
        """How many connections nginx's workers hold together at most, as its main file says; None when
        that file cannot be read."""
        ...

    def nginx_complaint(self, since_s: float) -> str | None:
        """The last thing that kept nginx from starting or reloading, logged from `since_s` (unix
        seconds) on; None when there is none."""
        ...

    def journal(self, unit: str, since_s: float) -> tuple[str, ...]:
        """The last lines that the unit's processes logged from `since_s` (unix seconds) on, oldest first; empty
        when there are none or they cannot be read. As they came: secrets and control characters included."""
        ...

    def listener(self, port: int) -> str | None:
        """Who listens on this TCP port, in words for a person ("python3 (pid 812, demo.service)"), or None."""
        ...

    def listeners(self, port: int) -> tuple[Listener, ...]:
        """Every socket that listens on this TCP port, on whatever address."""
        ...

    def connections(self, port: int) -> int:
        """How many connections to this TCP port of this machine are established."""
        ...

    def process(self, pid: int) -> Process | None:
        """None when there is none of this number."""
        ...

    def ipv6(self) -> bool:
        """Sockets of the IPv6 family can be made."""
        ...

    def resolvers(self) -> tuple[str, ...]:
        """Addresses of the name servers that this machine asks, without loopback ones."""
        ...

    def attached(self) -> tuple[str, ...]:
        """The networks on this machine's own cables, such as 192.0.2.0/24: where it has an address itself."""
        ...

    def addresses(self, name: str) -> Mapping[str, bool] | None:
        """Where a name leads, each address with whether it is this machine's; empty for a name that is not known,
        None when nobody answers within two seconds."""
        ...
