"""What `hub.traits` may add to users' containers, and what not: a container gets no way to the machine or to
other containers, whoever writes it down. Names are those of Docker's SDK for Python."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from hubagent.config.model import Hub
from hubagent.config.tree import Path

CREATE: Final = "extra_create_kwargs"
HOST: Final = "extra_host_config"
CLASSES: Final = ("DockerSpawner", "HubagentSpawner")
"""Under which both are written; later ones win."""

LABELS: Final = "hubagent."
"""How labels begin that only hubagent gives."""

_ALLOWED: Final[Mapping[str, frozenset[str]]] = {
    CREATE: frozenset(
        {
            *("domainname", "entrypoint", "healthcheck", "hostname", "labels", "mac_address"),
            *("stop_signal", "working_dir"),
        }
    ),
    HOST: frozenset(
        {
            *("blkio_weight", "blkio_weight_device", "cgroup_parent", "cpuset_cpus", "cpuset_mems"),
            *("device_read_bps", "device_read_iops", "device_requests"),
            *("device_write_bps", "device_write_iops", "dns", "dns_opt", "dns_search", "extra_hosts"),
            *("group_add", "init", "log_config", "mem_reservation", "mem_swappiness", "read_only"),
            *("runtime", "shm_size", "storage_opt", "sysctls", "tmpfs", "ulimits"),
        }
    ),
}

_NAMESPACE: Final = "every container keeps namespaces of its own; remove it"
_PRIVILEGE: Final = "it would give users rights on this machine; remove it"
_FOLDERS: Final = "declare folders in servers.NAME.mounts"
_REASONS: Final = {
    **dict.fromkeys(("cap_add", "cap_drop", "privileged", "security_opt"), _PRIVILEGE),
    **dict.fromkeys(
        ("device_cgroup_rules", "devices"), "devices are not allowed; use device_requests for GPUs"
    ),
    **dict.fromkeys(
        (
            *("cgroupns", "cgroupns_mode", "ipc_mode", "network_mode", "networking_config", "pid_mode"),
            *("userns_mode", "uts_mode"),
        ),
        _NAMESPACE,
    ),
    **dict.fromkeys(("binds", "mounts", "volume_driver", "volumes", "volumes_from"), _FOLDERS),
    **dict.fromkeys(("mem_limit", "memswap_limit"), "write servers.NAME.memory"),
    **dict.fromkeys(("cpu_period", "cpu_quota", "cpu_shares", "nano_cpus"), "write servers.NAME.cpus"),
    "environment": "write servers.NAME.environment",
    "image": "write servers.NAME.image",
    "pids_limit": "write servers.NAME.processes",
}


@dataclass(frozen=True, slots=True)
class Extras:
    """Keyword arguments for the SDK's create_container and HostConfig."""

    create: Mapping[str, Any] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Fault:
    path: Path
    message: str


def extras(hub: Hub) -> Extras:
    """What the configuration adds. It may hold what `faults` finds: ask that, too."""
    found = {trait: value for _, trait, value in _written(hub) if isinstance(value, Mapping)}
    return Extras(create=found.get(CREATE, {}), host=found.get(HOST, {}))


def faults(hub: Hub) -> Iterator[Fault]:
    """What may not be added, with what to do instead."""
    for name, trait, value in _written(hub):
        path: Path = ("hub", "traits", name, trait)
        if not isinstance(value, Mapping):
            yield Fault(path, "is not a mapping; write names of Docker's SDK and their values")
            continue
        for key in sorted(value):
            if key not in _ALLOWED[trait]:
                reason = _REASONS.get(key, f"what can be: {', '.join(sorted(_ALLOWED[trait]))}")
                yield Fault(path, f"{str(key)[:60]} cannot be added to containers: {reason}")
        labels = value.get("labels", {})
        if trait == CREATE and not _are_free(labels):
            yield Fault(path, f"labels is not a mapping of names to texts, or a name begins with {LABELS}")


def _are_free(labels: object) -> bool:
    return isinstance(labels, Mapping) and all(
        isinstance(value, str) and not str(name).startswith(LABELS) for name, value in labels.items()
    )


def _written(hub: Hub) -> Iterator[tuple[str, str, object]]:
    """Class, trait and value."""
    for name in CLASSES:
        traits = hub.traits.get(name, {})
        for trait in (CREATE, HOST):
            if trait in traits:
                yield name, trait, traits[trait]
