"""Rules over several keys, and what `hub.traits` may add to users' containers. Pure: a Config in, what is broken out.

A container gets no way to the machine or to other containers, whoever writes it down. Names are those of Docker's SDK
for Python.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Any, Final

from hubagent.config.model import Apply, Config, Disruptive, Hub, Metrics, Server, TlsMode
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
class Broken:
    """A broken rule: the key to point at, what is wrong and what to do, and the other keys it looked at."""

    path: Path
    message: str
    others: tuple[Path, ...] = ()
    was_taken: bool = False  # by an earlier hubagent, so a file with it may be in force


def broken_rules(config: Config) -> Iterator[Broken]:
    yield from _tls(config)
    yield from _hub(config.hub)
    yield from broken_extras(config.hub)
    for server in config.servers:
        yield from _mounts(server)
        yield from _warm(server)
    yield from _builds(config.servers)
    yield from _metrics(config.metrics)
    yield from _apply(config.apply)


def _tls(config: Config) -> Iterator[Broken]:
    tls, mode = config.tls, config.tls.mode
    if mode is TlsMode.LETSENCRYPT:
        yield from _authority(config)
    for name in ("certificate", "key"):
        given = getattr(tls, name) is not None
        if mode is TlsMode.FILES and not given:
            message = f"files needs {name}; write tls.{name}, or choose another mode"
            yield Broken(("tls", "mode"), message, (("tls", name),))
        if mode is not TlsMode.FILES and given:
            message = "is only used with mode: files; set tls.mode to that, or remove the line"
            yield Broken(("tls", name), message, (("tls", "mode"),))
    for name in ("email", "acme_directory"):
        if mode is not TlsMode.LETSENCRYPT and getattr(tls, name) is not None:
            message = "is only used with mode: letsencrypt; set tls.mode to that, or remove the line"
            yield Broken(("tls", name), message, (("tls", "mode"),))


def _authority(config: Config) -> Iterator[Broken]:
    """No authority certifies whatever name or address a machine may have; what it certifies, it looks up in the DNS."""
    if config.host is None:
        message = (
            "letsencrypt needs `host`, the name to certify; write host: hub.example.org with this server's DNS name"
            " (no authority certifies an address), or mode: self-signed"
        )
        yield Broken(("tls", "mode"), message, (("host",),), was_taken=True)
    elif "." not in config.host:
        message = (
            f"{config.host} has no dot, so no authority can certify it; write this server's full DNS name, such as"
            f" {config.host[:60]}.example.org, or tls.mode: self-signed"
        )
        yield Broken(("host",), message, (("tls", "mode"),), was_taken=True)


def _hub(hub: Hub) -> Iterator[Broken]:
    if hub.database_password_file is not None and hub.database == "sqlite":
        message = (
            "sqlite has no password; remove the line, or write hub.database: postgresql://USER@HOST/NAME"
        )
        yield Broken(("hub", "database_password_file"), message, (("hub", "database"),))
    elif hub.database_password_file is not None and "@" not in hub.database:
        message = "names no user for the password; write postgresql://USER@HOST/NAME"
        yield Broken(("hub", "database"), message, (("hub", "database_password_file"),))


def _mounts(server: Server) -> Iterator[Broken]:
    targets: set[PurePosixPath] = set()
    for index, mount in enumerate(server.mounts):
        path: Path = ("servers", server.name, "mounts", index, "to")
        others: tuple[Path, ...] = (("servers", server.name, "home"), ("servers", server.name, "mounts"))
        if mount.target == server.home:
            yield Broken(path, "is where the home is; choose a folder in it or beside it", others)
        elif mount.target in targets:
            yield Broken(path, "has a mount already; choose another folder", others)
        targets.add(mount.target)


def _warm(server: Server) -> Iterator[Broken]:
    warm = server.warm
    if warm is None:
        return
    base: Path = ("servers", server.name, "warm")
    limits: tuple[Path, ...] = ((*base, "max"),)
    if warm.ready > warm.max:
        yield Broken(
            (*base, "ready"),
            f"{warm.ready} is more than max ({warm.max}); raise warm.max or lower it",
            limits,
        )
    for index, lecture in enumerate(warm.schedule):
        path: Path = (*base, "schedule", index)
        if lecture.ready > warm.max:
            message = f"{lecture.ready} is more than max ({warm.max}); raise warm.max or lower it"
            yield Broken((*path, "ready"), message, limits)
        if lecture.end <= lecture.start:
            message = (
                f"{lecture.end} is not after {lecture.start}; a lecture ends on the day it starts: write two"
                " lines"
            )
            yield Broken((*path, "to"), message, ((*path, "from"),))


def _builds(servers: tuple[Server, ...]) -> Iterator[Broken]:
    """One image name is one image."""
    makers: dict[str, Server] = {}
    for server in servers:
        if server.build is None:
            continue
        path: Path = ("servers", server.name, "image")
        first = makers.setdefault(server.image, server)
        if "@" in server.image:
            yield Broken(path, "an image that is built here has no digest; write name or name:tag")
        if first.build != server.build:
            message = (
                f"{server.image} is built by servers.{first.name} too, in another way; write an image name of"
                " its own"
            )
            others: tuple[Path, ...] = (("servers", first.name), ("servers", server.name))
            yield Broken(path, message, others)


def _metrics(metrics: Metrics) -> Iterator[Broken]:
    path: Path = ("metrics", "listen")
    lacking = [name for name, value in (("tls", metrics.tls), ("users", metrics.users)) if not value]
    if lacking and not metrics.listen.is_loopback:
        others: tuple[Path, ...] = (("metrics", "tls"), ("metrics", "users"))
        message = (
            f"{metrics.listen} can be reached by others; write metrics.{' and metrics.'.join(lacking)},"
            " or listen on 127.0.0.1"
        )
        yield Broken(path, message, others)


def _apply(apply: Apply) -> Iterator[Broken]:
    if apply.disruptive is Disruptive.WINDOW and apply.window is None:
        message = 'window needs apply.window; write window: "03:00-05:00"'
        yield Broken(("apply", "disruptive"), message, (("apply", "window"),))


@dataclass(frozen=True, slots=True)
class Extras:
    """Keyword arguments for the SDK's create_container and HostConfig."""

    create: Mapping[str, Any] = field(default_factory=dict)
    host: Mapping[str, Any] = field(default_factory=dict)


def extras(hub: Hub) -> Extras:
    """What the configuration adds. It may hold what `faults` finds: ask that, too."""
    found = {trait: value for _, trait, value in _written(hub) if isinstance(value, Mapping)}
    return Extras(create=found.get(CREATE, {}), host=found.get(HOST, {}))


def broken_extras(hub: Hub) -> Iterator[Broken]:
    """What may not be added, with what to do instead."""
    for name, trait, value in _written(hub):
        path: Path = ("hub", "traits", name, trait)
        if not isinstance(value, Mapping):
            yield Broken(path, "is not a mapping; write names of Docker's SDK and their values")
            continue
        for key in sorted(value):
            if key not in _ALLOWED[trait]:
                reason = _REASONS.get(key, f"what can be: {', '.join(sorted(_ALLOWED[trait]))}")
                yield Broken(path, f"{str(key)[:60]} cannot be added to containers: {reason}")
        labels = value.get("labels", {})
        if trait == CREATE and not _are_free(labels):
            yield Broken(path, f"labels is not a mapping of names to texts, or a name begins with {LABELS}")


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
