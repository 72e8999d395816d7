"""What a user's container is made from. Pure: values in, arguments for the Docker API out."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any, Final

from docker.types import HostConfig, LogConfig, Mount

from hubagent.hub.naming import volume_name
from hubagent.hub.servers import ServerDefinition
from hubagent.layout import LABEL_DIGEST, LABEL_SERVER, LABEL_USER

API_VERSION: Final = "1.41"
"""Docker 20.10, the oldest that is installed with (Debian 12). HostConfig only checks its fields with it."""

CPU_PERIOD_US: Final = 100_000
"""The kernel's usual period for limits of processor time."""

OOM_SCORE_ADJ: Final = 500
"""When the machine runs out of memory, servers go before the hub, the proxy and the agent."""

ROOT_CAPABILITIES: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
"""What an image that starts as root needs to become the user; an image with a user of its own gets none."""


@dataclass(frozen=True, slots=True)
class Image:
    """What matters of an image that is on this machine."""

    user: str  # as in its USER: empty, name, uid, or either with :group
    command: tuple[str, ...]

    @classmethod
    def from_inspection(cls, inspection: Mapping[str, Any]) -> Image:
        config = inspection.get("Config") or {}
        return cls(user=config.get("User") or "", command=tuple(config.get("Cmd") or ()))

    @property
    def starts_as_root(self) -> bool:
        return self.user.partition(":")[0] in {"", "0", "root"}


@dataclass(frozen=True, slots=True)
class Container:
    """Whose container, of which kind, under which name."""

    name: str
    user: str
    definition: ServerDefinition
    network: str
    port: int

    @property
    def volume(self) -> str:
        return volume_name(self.definition.volume, self.user)

    @property
    def labels(self) -> dict[str, str]:
        return {
            LABEL_SERVER: self.definition.name,
            LABEL_DIGEST: self.definition.digest,
            LABEL_USER: self.user,
        }


def create_arguments(
    container: Container,
    image: Image,
    *,
    command: list[str],
    environment: Mapping[str, str],
    extra: Mapping[str, Any],
    extra_host: Mapping[str, Any],
) -> dict[str, Any]:
    """Keyword arguments for docker.APIClient.create_container.

    `extra` and `extra_host` are what `hub.traits` adds, in the SDK's names for create_container and
    HostConfig; they win. Raises TypeError for a name that the SDK does not know.
    """
    host = HostConfig(version=API_VERSION, **{**_host_arguments(container, image), **extra_host})
    return {
        "image": container.definition.image,
        "name": container.name,
        "command": command,
        "environment": dict(environment),
        "labels": container.labels,
        "ports": [container.port],
        "host_config": host,
        **extra,
    }


def _host_arguments(container: Container, image: Image) -> dict[str, Any]:
    definition = container.definition
    return {
        "network_mode": container.network,
        "mem_limit": definition.memory_bytes,
        "memswap_limit": definition.memory_bytes,  # of both together: no swap, which would only be slow
        # As a share of time: the same limit given as `nano_cpus` is refused where it exceeds the machine.
        "cpu_period": CPU_PERIOD_US,
        "cpu_quota": round(definition.cpus * CPU_PERIOD_US),
        "pids_limit": definition.processes,
        "oom_score_adj": OOM_SCORE_ADJ,
        "cap_drop": ["ALL"],
        "cap_add": list(ROOT_CAPABILITIES) if image.starts_as_root else [],
        "security_opt": ["no-new-privileges:true"],
        "init": True,
        "log_config": LogConfig(type="local", config={"max-size": "10m", "max-file": "2"}),
        "mounts": [
            Mount(definition.home, container.volume, type="volume", labels={LABEL_USER: container.user}),
            *(
                Mount(mount.target, mount.source, type="bind", read_only=mount.read_only)
                for mount in definition.mounts
            ),
        ],
    }


def home_owner(user: str, passwd: str) -> tuple[int, int] | None:
    """Numeric owner and group of the image's user, or None when the image does not say.

    `passwd` is the content of the image's /etc/passwd; malformed lines are passed over.
    """
    name, _, group = user.partition(":")
    found: tuple[int, int] | None = (int(name), 0) if name.isascii() and name.isdigit() else None
    for line in passwd.splitlines():
        parts = line.split(":")
        if len(parts) >= 4 and name in {parts[0], parts[2]} and parts[2].isdigit() and parts[3].isdigit():
            found = int(parts[2]), int(parts[3])
            break
    if found is not None and group.isascii() and group.isdigit():
        found = found[0], int(group)
    return found


def ownership_archive(folder: str, owner: tuple[int, int]) -> bytes:
    """A tar archive that gives a folder this owner and group, mode 0755, when unpacked in its parent.

    (Docker passes over an entry for the very folder in which it unpacks.)
    """
    entry = tarfile.TarInfo(PurePosixPath(folder).name)
    entry.type = tarfile.DIRTYPE
    entry.mode = 0o755
    entry.uid, entry.gid = owner
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        archive.addfile(entry)
    return buffer.getvalue()


def file_in_archive(archive: bytes) -> str:
    """The text of the first regular file in a tar archive; empty when there is none."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        for member in tar:
            file = tar.extractfile(member)
            if file is not None:
                return file.read().decode(errors="replace")
    return ""
