"""What the pool needs of the world: containers, homes, guests. Adapters implement these Protocols."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from hubagent import wire
from hubagent.ports import Clock


@dataclass(frozen=True, slots=True)
class Bind:
    """A folder of the host in a container."""

    source: str
    target: str
    read_only: bool
    propagation: str = "rprivate"  # mount_namespaces(7): rprivate, or rslave to see what is mounted later


@dataclass(frozen=True, slots=True)
class ContainerSpec:
    """All that a container of ours is made from."""

    name: str
    image: str  # name or id
    command: tuple[str, ...]
    environment: Mapping[str, str]
    labels: Mapping[str, str]
    network: str  # name, or "none"
    memory_bytes: int  # of memory and swap together
    cpus: float
    processes: int
    cpu_shares: int = 1024  # Docker's relative weight
    root_capabilities: bool = False  # for an image that starts as root to become the user
    binds: tuple[Bind, ...] = ()
    volume: tuple[str, str] | None = None  # name and path in the container
    volume_labels: Mapping[str, str] = field(default_factory=dict)
    port: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)  # hub.traits: extra_create_kwargs
    extra_host: Mapping[str, Any] = field(default_factory=dict)  # hub.traits: extra_host_config


@dataclass(frozen=True, slots=True)
class ContainerFacts:
    id: str
    name: str
    image_id: str
    labels: Mapping[str, str]
    running: bool
    exit_code: int
    out_of_memory: bool
    address: str  # on its network; empty while it does not run
    created_s: float  # unix time


@dataclass(frozen=True, slots=True)
class ImageFacts:
    id: str
    user: str  # as in its USER: empty, name, uid, or either with :group
    command: tuple[str, ...]

    @property
    def starts_as_root(self) -> bool:
        return self.user.partition(":")[0] in {"", "0", "root"}


@dataclass(frozen=True, slots=True)
class VolumeFacts:
    name: str
    path: str  # on the host; empty for a volume that Docker mounts only while a container uses it
    labels: Mapping[str, str]
    created_s: float
    """Unix time, in whole seconds. Docker takes the last change of a folder's inode for it: of the volume's own folder,
    or, until Docker 23, of what is mounted, whose owner changes it with each new file. So a volume is never younger
    than this says, and may be older."""


class Containers(Protocol):
    """Docker's containers and volumes. Every call has a deadline; calls of different threads run side by
    side. Failures are errors.ContainerError; `absent` in a name says what None means."""

    def image(self, name: str) -> ImageFacts | None:
        """None when it is not on this machine."""
        ...

    def create(self, spec: ContainerSpec) -> str:
        """The new container's id. Raises errors.NameTakenError when one of this name exists."""
        ...

    def start(self, container: str) -> None: ...

    def inspect(self, container: str) -> ContainerFacts | None:
        """By name or id; None when Docker says that there is none."""
        ...

    def list(self, *, label: str) -> tuple[ContainerFacts, ...]:
        """All, running or not, that carry this label; `address` may be empty."""
        ...

    def weigh(self, container: str, *, cpu_shares: int) -> None:
        """A new weight on the processor for a running container."""
        ...

    def stop(self, container: str, *, timeout_s: int) -> None:
        """SIGTERM, after timeout_s SIGKILL; an absent one is fine."""
        ...

    def remove(self, container: str) -> None:
        """Running or not; an absent one, or one that is being removed, is fine."""
        ...

    def output(self, container: str, *, lines: int) -> str: ...

    def run(self, container: str, command: tuple[str, ...], *, timeout_s: float) -> int:
        """Run a program in a running container, as its image's user; its exit status. What it says is not read: the
        container is a user's."""
        ...

    def memory_bytes(self, container: str) -> int | None:
        """What it takes now, without page cache; None when it does not run."""
        ...

    def volume(self, name: str) -> VolumeFacts | None:
        """None when Docker says that there is none of this name."""
        ...

    def processor_s(self, container: str) -> float | None:
        """Seconds of processor time that it has used since it was started; None when it does not run."""
        ...

    def volume_path(self, name: str) -> str | None:
        """Where the volume lies on the host; None when there is none of this name."""
        ...

    def volume_labels(self) -> Mapping[str, Mapping[str, str]]:
        """The labels of every volume, by its name."""
        ...

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None: ...

    def remove_volume(self, name: str) -> None: ...

    def read_file(self, container: str, path: str) -> bytes | None:
        """A file out of the container's file system; None when there is none."""
        ...

    def own_folder(self, container: str, path: str, owner: tuple[int, int]) -> None:
        """Give an existing folder in the container to this uid and gid, mode 0755."""
        ...


class Hold(Protocol):
    """Something that lasts until it is let go of, or the helper thinks that it has lasted for long enough."""

    def close(self) -> None: ...


class Homes(Protocol):
    """The homes helper. Failures are errors.HomeError."""

    def prepare(self, slot: str) -> str:
        """The slot's folder on the host, ready to be mounted with propagation rslave."""
        ...

    def attach(self, slot: str, source: str, folders: tuple[wire.Folder, ...]) -> wire.Attached: ...

    def detach(self, slot: str) -> None: ...

    def slots(self) -> tuple[str, ...]: ...

    def idle_docker(self) -> Hold:
        """Docker's services work only where a processor would rest, for wire.IDLE_AT_MOST_S at most."""
        ...

    def freeze(self, container: str) -> Hold:
        """The container, by its id, stands still, for wire.FREEZE_AT_MOST_S at most."""
        ...


class Guests(Protocol):
    """Guests in their containers, by id. Failures are errors.GuestError."""

    def prepare(self, guest: str, settings: wire.GuestSettings) -> str:
        """Make the guest's folder with its settings; the path of what the container mounts writable at
        wire.GUEST_FOLDER."""
        ...

    def ping(self, guest: str, *, timeout_s: float) -> wire.Pong | None:
        """None while nobody listens yet."""
        ...

    def become(self, guest: str, message: wire.Become, *, timeout_s: float) -> None:
        """Returns when the guest is done; whatever it answers else is GuestError. Waits, within the timeout,
        for the guest to listen."""
        ...

    def proof(self, guest: str) -> wire.Proof | None: ...

    def spares(self, guest: str) -> wire.Spares | None:
        """What a user's server has said last of what still waits in it; None when it has said nothing since this was
        asked before. A user may have made it up."""
        ...

    def forget(self, guest: str) -> None:
        """Remove the guest's folder; its container is gone."""
        ...

    def known(self) -> tuple[str, ...]: ...


@dataclass(frozen=True, slots=True)
class PoolPorts:
    """All of them, of one machine, and its clock."""

    containers: Containers
    homes: Homes
    guests: Guests
    clock: Clock
