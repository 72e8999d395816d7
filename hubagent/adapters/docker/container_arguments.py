"""What a user's container is made from, in the words of Docker's SDK. Values in, arguments out."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from docker.types import HostConfig, LogConfig, Mount, Ulimit

from hubagent.pool.ports import ContainerSpec

API_VERSION: Final = "1.41"
"""Docker 20.10, the oldest that is installed with (Debian 12). HostConfig only checks its fields with it."""

CPU_PERIOD_US: Final = 100_000
"""The kernel's usual period for limits of processor time."""

OOM_SCORE_ADJ: Final = 500
"""When the machine runs out of memory, servers go before the hub, the proxy and the agent."""

ROOT_CAPABILITIES: Final = ("CHOWN", "DAC_OVERRIDE", "FOWNER", "KILL", "SETGID", "SETUID")
"""What an image that starts as root needs to become the user; an image with a user of its own gets none."""

NICE: Final = Ulimit(name="nice", soft=20, hard=20)
"""RLIMIT_NICE 20 is a ceiling of nice 0 (getrlimit(2)). A kernel that is warmed up steps back behind everybody
else's work and has to come back when it is handed over; the default of 0 would keep it down for ever."""

_SYS_RESOURCE: Final = 1 << 24  # capabilities(7)


def may_raise_limits(process: Path = Path("/proc/1/status")) -> bool:
    """Whether Docker can start a container with NICE: not on a machine that is itself a container without
    CAP_SYS_RESOURCE, where no container would start at all. Kernels then keep their priority."""
    for line in process.read_text().splitlines():
        name, _, value = line.partition(":")
        if name == "CapBnd":
            return bool(int(value, 16) & _SYS_RESOURCE)
    return False


def create_arguments(spec: ContainerSpec, *, nice: bool) -> dict[str, Any]:
    """Keyword arguments for docker.APIClient.create_container, with the limit NICE or without.

    `spec.extra` and `spec.extra_host` are in the SDK's names for create_container and HostConfig; they win,
    but labels and ulimits are added to. Raises TypeError, ValueError or docker.errors.DockerException for
    what the SDK does not take.
    """
    labels = {**spec.extra.get("labels", {}), **spec.labels}
    arguments: dict[str, Any] = {
        "image": spec.image,
        "name": spec.name,
        "command": list(spec.command),
        "environment": dict(spec.environment),
        "host_config": HostConfig(version=API_VERSION, **_host_arguments(spec, nice=nice)),
        **spec.extra,
        "labels": labels,
    }
    if spec.port is not None:
        arguments["ports"] = [spec.port]
    return arguments


def _host_arguments(spec: ContainerSpec, *, nice: bool) -> dict[str, Any]:
    return {
        "network_mode": spec.network,
        "mem_limit": spec.memory_bytes,
        "memswap_limit": spec.memory_bytes,  # of both together: no swap, which would only be slow
        # As a share of time: the same limit given as `nano_cpus` is refused where it exceeds the machine.
        "cpu_period": CPU_PERIOD_US,
        "cpu_quota": round(spec.cpus * CPU_PERIOD_US),
        "cpu_shares": spec.cpu_shares,
        "pids_limit": spec.processes,
        "oom_score_adj": OOM_SCORE_ADJ,
        "cap_drop": ["ALL"],
        "cap_add": list(ROOT_CAPABILITIES) if spec.root_capabilities else [],
        "security_opt": ["no-new-privileges:true"],
        "init": True,
        "log_config": LogConfig(type="local", config={"max-size": "10m", "max-file": "2"}),
        "mounts": _mounts(spec),
        **spec.extra_host,
        "ulimits": _ulimits(spec.extra_host, nice=nice),
    }


def _mounts(spec: ContainerSpec) -> list[Mount]:
    # `mounts`, not `binds`: those would make a folder of the host that is missing.
    volumes = [] if spec.volume is None else [spec.volume]
    return [
        *(
            Mount(target, name, type="volume", labels=dict(spec.volume_labels) or None)
            for name, target in volumes
        ),
        *(
            Mount(
                bind.target,
                bind.source,
                type="bind",
                read_only=bind.read_only,
                propagation=bind.propagation,
            )
            for bind in spec.binds
        ),
    ]


def _ulimits(extra_host: Mapping[str, Any], *, nice: bool) -> list[Ulimit]:
    more = [one if isinstance(one, Ulimit) else Ulimit(**one) for one in extra_host.get("ulimits", ())]
    return [NICE, *more] if nice and not any(one.name == NICE.name for one in more) else more
