"""Containers, images and volumes in memory, for the pool and the broker."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field

from hubagent.errors import ContainerError, NameTakenError
from hubagent.pool.ports import ContainerFacts, ContainerSpec, ImageFacts, VolumeFacts
from tests.fakes.staging import Staged

IMAGE = ImageFacts(id="sha256:1", user="jovyan", command=("jupyterhub-singleuser",))
PASSWD = b"root:x:0:0::/root:/bin/sh\njovyan:x:1000:100::/home/jovyan:/bin/sh\n"


@dataclass
class Container:
    """One container; tests look at it and change it."""

    id: str
    spec: ContainerSpec
    image_id: str
    created_s: float
    address: str
    cpu_shares: int
    running: bool = False
    exit_code: int = 0
    out_of_memory: bool = False
    output: str = "the last words\n"
    used_bytes: int = 100 * 1024**2
    processor_s: float = 0.5
    owned: dict[str, tuple[int, int]] = field(default_factory=dict)
    ran: list[tuple[str, ...]] = field(default_factory=list)

    def end(self, exit_code: int = 0, *, out_of_memory: bool = False) -> None:
        """It ends by itself."""
        self.running, self.exit_code, self.out_of_memory = False, exit_code, out_of_memory

    def facts(self) -> ContainerFacts:
        return ContainerFacts(
            id=self.id,
            name=self.spec.name,
            image_id=self.image_id,
            labels=dict(self.spec.labels),
            running=self.running,
            exit_code=self.exit_code,
            out_of_memory=self.out_of_memory,
            address=self.address if self.running else "",
            created_s=self.created_s,
        )


class FakeContainers(Staged):
    """`pool.ports.Containers` in memory.

    `stop_engine` makes all calls fail until `start_engine`. `on_start` is told of each container that
    starts, in the caller's thread.
    `journal` holds every call with what it was about, e.g. ("start", "hubagent-slot-0123456789ab").
    """

    def __init__(
        self,
        images: Mapping[str, ImageFacts] | None = None,
        *,
        now: Callable[[], float] = time.time,
        on_start: Callable[[Container], None] | None = None,
    ) -> None:
        super().__init__(ContainerError, refusal="the engine refused")
        self.images = dict(images if images is not None else {"hubagent/julia": IMAGE})
        self.networks = {"hubagent", "none"}
        self.missing_folders: set[str] = set()  # of the host
        self.files: dict[str, bytes] = {"/etc/passwd": PASSWD}  # of every image
        self.containers: dict[str, Container] = {}  # by id
        self.volumes: dict[str, dict[str, str]] = {}  # labels by name
        self.volumes_made_s: dict[
            str, float
        ] = {}  # by name; those that a test puts there are as old as can be
        self.journal: list[tuple[str, str]] = []
        self.on_start = on_start
        self._now = now
        self._lock = threading.RLock()
        self._is_up = True
        self._made = 0

    # For tests

    def stop_engine(self) -> None:
        self._is_up = False

    def start_engine(self) -> None:
        self._is_up = True

    def named(self, name: str) -> Container | None:
        with self._lock:
            return next((one for one in self.containers.values() if name in (one.id, one.spec.name)), None)

    def calls(self, call: str) -> list[str]:
        return [what for name, what in self.journal if name == call]

    # Containers

    def image(self, name: str) -> ImageFacts | None:
        with self._call("image", name):
            by_id = {facts.id: facts for facts in self.images.values()}
            return self.images.get(name) or by_id.get(name)

    def create(self, spec: ContainerSpec) -> str:
        with self._call("create", spec.name):
            if self.named(spec.name) is not None:
                raise NameTakenError(f"cannot create {spec.name}: the name is in use")
            image = self.images.get(spec.image) or next(
                (facts for facts in self.images.values() if facts.id == spec.image), None
            )
            if image is None:
                raise ContainerError(f"cannot create {spec.name}: No such image: {spec.image}")
            for bind in spec.binds:
                if bind.source in self.missing_folders:
                    raise ContainerError(
                        f"cannot create {spec.name}: bind source path does not exist: {bind.source}"
                    )
            if spec.volume is not None:
                self._make_volume(spec.volume[0], spec.volume_labels)
            self._made += 1
            container = Container(
                id=f"{self._made:064x}",
                spec=spec,
                image_id=image.id,
                created_s=self._now(),
                address=f"172.18.{self._made // 250}.{self._made % 250 + 2}",
                cpu_shares=spec.cpu_shares,
            )
            self.containers[container.id] = container
            return container.id

    def start(self, container: str) -> None:
        with self._call("start", container):
            found = self._existing(container)
            if found.spec.network not in self.networks:
                raise ContainerError(f"cannot start {container}: network {found.spec.network} not found")
            found.running, found.exit_code = True, 0
        if self.on_start is not None:
            self.on_start(found)

    def inspect(self, container: str) -> ContainerFacts | None:
        with self._call("inspect", container):
            found = self.named(container)
            return found.facts() if found else None

    def list(self, *, label: str) -> tuple[ContainerFacts, ...]:
        with self._call("list", label):
            key, has_value, value = label.partition("=")
            return tuple(
                one.facts()
                for one in self.containers.values()
                if key in one.spec.labels and (not has_value or one.spec.labels[key] == value)
            )

    def weigh(self, container: str, *, cpu_shares: int) -> None:
        with self._call("weigh", container):
            found = self._existing(container)
            if not found.running:
                raise ContainerError(f"cannot weigh {container}: it does not run")
            found.cpu_shares = cpu_shares

    def stop(self, container: str, *, timeout_s: int) -> None:
        with self._call("stop", container):
            found = self.named(container)
            if found is not None and found.running:
                found.end(143)

    def remove(self, container: str) -> None:
        with self._call("remove", container):
            found = self.named(container)
            if found is not None:
                found.end(137)
                del self.containers[found.id]

    def output(self, container: str, *, lines: int) -> str:
        with self._call("output", container):
            return "".join(self._existing(container).output.splitlines(keepends=True)[-lines:])

    def run(self, container: str, command: tuple[str, ...], *, timeout_s: float) -> int:
        with self._call("run", container):
            found = self._existing(container)
            if not found.running:
                raise ContainerError(f"cannot run {command[0]} in {container}: it does not run")
            found.ran.append(command)
            return 0

    def memory_bytes(self, container: str) -> int | None:
        with self._call("memory_bytes", container):
            found = self.named(container)
            return found.used_bytes if found is not None and found.running else None

    def processor_s(self, container: str) -> float | None:
        with self._call("processor_s", container):
            found = self.named(container)
            return found.processor_s if found is not None and found.running else None

    # Volumes and files

    def volume(self, name: str) -> VolumeFacts | None:
        with self._call("volume", name):
            if name not in self.volumes:
                return None
            path = f"/var/lib/docker/volumes/{name}/_data"
            created_s = float(int(self.volumes_made_s.get(name, 0.0)))
            return VolumeFacts(name, path, dict(self.volumes[name]), created_s)

    def volume_path(self, name: str) -> str | None:
        with self._call("volume_path", name):
            return f"/var/lib/docker/volumes/{name}/_data" if name in self.volumes else None

    def volume_labels(self) -> Mapping[str, Mapping[str, str]]:
        with self._call("volume_labels", ""):
            return {name: dict(labels) for name, labels in self.volumes.items()}

    def create_volume(self, name: str, labels: Mapping[str, str]) -> None:
        with self._call("create_volume", name):
            self._make_volume(name, labels)

    def remove_volume(self, name: str) -> None:
        with self._call("remove_volume", name):
            users = [
                one for one in self.containers.values() if one.spec.volume and one.spec.volume[0] == name
            ]
            if users:
                raise ContainerError(f"cannot remove the volume {name}: in use by {users[0].spec.name}")
            self.volumes.pop(name, None)
            self.volumes_made_s.pop(name, None)

    def read_file(self, container: str, path: str) -> bytes | None:
        with self._call("read_file", container):
            self._existing(container)
            return self.files.get(path)

    def own_folder(self, container: str, path: str, owner: tuple[int, int]) -> None:
        with self._call("own_folder", container):
            self._existing(container).owned[path] = owner

    # Inside

    def _make_volume(self, name: str, labels: Mapping[str, str]) -> None:
        if name not in self.volumes:
            self.volumes[name], self.volumes_made_s[name] = dict(labels), self._now()

    def _existing(self, container: str) -> Container:
        found = self.named(container)
        if found is None:
            raise ContainerError(f"no such container: {container}")
        return found

    @contextmanager
    def _call(self, call: str, what: str) -> Iterator[None]:
        self._waited(call)
        with self._lock:
            self.journal.append((call, what))
            if not self._is_up:
                raise ContainerError(f"cannot {call} {what}: no connection to Docker")
            self._raise_failure(call, after=False)
            yield
            self._raise_failure(call, after=True)
