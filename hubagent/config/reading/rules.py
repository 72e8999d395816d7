"""Rules over several keys. Pure: a Config in, what is broken out."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from hubagent.config.model import Apply, Config, Disruptive, Hub, Metrics, Server, TlsMode
from hubagent.config.reading import extras
from hubagent.config.tree import Path


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
    for fault in extras.faults(config.hub):
        yield Broken(fault.path, fault.message)
    for server in config.servers:
        yield from _mounts(server)
        yield from _warm(server)
    yield from _builds(config.servers)
    yield from _metrics(config.metrics)
    yield from _apply(config.apply)


def _tls(config: Config) -> Iterator[Broken]:
    tls, mode = config.tls, config.tls.mode
    if mode is TlsMode.LETSENCRYPT:
        message = (
            "letsencrypt is not built in yet; get the certificate with certbot or another program and write mode:"
            " files with certificate and key (their renewal is noticed), or mode: self-signed"
        )
        yield Broken(("tls", "mode"), message, was_taken=True)
        return
    for name in ("certificate", "key"):
        given = getattr(tls, name) is not None
        if mode is TlsMode.FILES and not given:
            message = f"files needs {name}; write tls.{name}, or choose another mode"
            yield Broken(("tls", "mode"), message, (("tls", name),))
        if mode is not TlsMode.FILES and given:
            message = "is only used with mode: files; set tls.mode to that, or remove the line"
            yield Broken(("tls", name), message, (("tls", "mode"),))
    for name in ("email", "acme_directory"):
        if getattr(tls, name) is not None:
            message = "belongs to letsencrypt, which is not built in yet; remove the line"
            yield Broken(("tls", name), message, (("tls", "mode"),))


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
