"""The configuration: frozen dataclasses, one for each mapping of the YAML file.

Field names are the YAML keys, with the unit added where the value is a number in a unit
(`memory: 4G` becomes `memory_bytes`). Every field has a default, so `Config()` is the shipped one.
Each field carries its kind and its sentence: loader, JSON Schema and reference are made from them.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import Final

from hubagent.config.kinds import grammars
from hubagent.config.kinds.composites import MapOf, Named, Section
from hubagent.config.kinds.places import OpenNetwork
from hubagent.config.kinds.scalars import Choice, setting
from hubagent.config.kinds.times import Window
from hubagent.config.kinds.types import (
    SERVER_NAME_PATTERN,
    Hostname,
    ListenAddress,
    ServerName,
    parse_server_name,
    parse_username,
)
from hubagent.config.model.hub import Hub, Passwords, Signup, Start
from hubagent.config.model.servers import Build, Lecture, Mount, MountMode, Server, Sysimage, Warm
from hubagent.ladder import Level

__all__ = [
    "Apply",
    "Build",
    "Config",
    "Disruptive",
    "Drift",
    "Hub",
    "Lecture",
    "Metrics",
    "MetricsTls",
    "Mount",
    "MountMode",
    "Nginx",
    "OpenNetwork",
    "Passwords",
    "Server",
    "Signup",
    "Start",
    "Sysimage",
    "Tls",
    "TlsMode",
    "Warm",
    "Window",
]


class TlsMode(enum.Enum):
    SELF_SIGNED = "self-signed"
    FILES = "files"
    LETSENCRYPT = "letsencrypt"


class Disruptive(enum.Enum):
    ASK = "ask"
    WINDOW = "window"
    ALWAYS = "always"


class Drift(enum.Enum):
    FIX = "fix"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Tls:
    mode: TlsMode = field(
        default=TlsMode.SELF_SIGNED,
        metadata=setting(
            Choice(TlsMode),
            "Where the certificate comes from: made at first boot, from your files, or from Let's Encrypt (or"
            " another ACME authority), obtained and renewed by certbot. The last needs `host`.",
        ),
    )
    certificate: PurePosixPath | None = field(
        default=None,
        metadata=setting(
            grammars.FILE, "With `files`: the certificate and its chain (PEM). A renewed file is picked up."
        ),
    )
    key: PurePosixPath | None = field(
        default=None, metadata=setting(grammars.FILE, "With `files`: the certificate's private key (PEM).")
    )
    email: str | None = field(
        default=None,
        metadata=setting(
            grammars.EMAIL, "With `letsencrypt`: whom the authority may write to. It is given to nobody else."
        ),
    )
    acme_directory: str | None = field(
        default=None,
        metadata=setting(
            grammars.HTTPS,
            "With `letsencrypt`: the directory of another ACME authority. Not set: Let's Encrypt's own. This machine"
            " must trust its server.",
        ),
    )


@dataclass(frozen=True, slots=True)
class Nginx:
    max_body_bytes: int = field(
        default=100 * 1024**2, metadata=setting(grammars.size("1M", "1T"), "The largest upload in one piece.")
    )
    websocket_drain_s: float = field(
        default=43200.0,
        metadata=setting(
            grammars.duration("1m", "30d"),
            "How long an old nginx worker may keep its websockets after a reload.",
        ),
    )


@dataclass(frozen=True, slots=True)
class MetricsTls:
    certificate: PurePosixPath = field(
        metadata=setting(grammars.FILE, "The certificate and its chain (PEM).")
    )
    key: PurePosixPath = field(metadata=setting(grammars.FILE, "Its private key (PEM)."))


@dataclass(frozen=True, slots=True)
class Metrics:
    listen: ListenAddress = field(
        default=ListenAddress("127.0.0.1", 9811),
        metadata=setting(
            grammars.LISTEN,
            "Where metrics and the status page are served. An address that others reach needs `tls` and"
            " `users`.",
        ),
    )
    tls: MetricsTls | None = field(
        default=None, metadata=setting(Section(MetricsTls), "The certificate for it. Not set: plain HTTP.")
    )
    users: Mapping[str, str] = field(  # name to bcrypt hash
        default_factory=dict,
        metadata=setting(
            MapOf(parse_username, grammars.BCRYPT, "mapping of user name to bcrypt hash", r"[^\s:]{1,200}"),
            "Who may read them: name and bcrypt hash, as `htpasswd -nBC 10 NAME` prints it. Empty: no login.",
        ),
    )


@dataclass(frozen=True, slots=True)
class Apply:
    disruptive: Disruptive = field(
        default=Disruptive.ASK,
        metadata=setting(
            Choice(Disruptive),
            "When edits that drop websockets are applied: after `hubagent apply --allow-disruption`, in the"
            " window, or at once.",
        ),
    )
    window: Window | None = field(
        default=None,
        metadata=setting(grammars.WINDOW, "With `window`: from-to in local time, such as 03:00-05:00."),
    )
    drift: Drift = field(
        default=Drift.FIX,
        metadata=setting(
            Choice(Drift),
            "What happens to a managed file or unit that was changed by hand: fix it, or only warn.",
        ),
    )


_SERVERS: Final = Named(
    Section(Server),
    parse_server_name,
    SERVER_NAME_PATTERN,
    lambda name: {"name": ServerName(name), "title": name},
)


@dataclass(frozen=True, slots=True)
class Config:
    host: Hostname | None = field(
        default=None,
        metadata=setting(
            grammars.HOSTNAME,
            "The server's name; other names get no answer (444). Not set: any name is served, self-signed.",
            interrupts=Level.NGINX_RELOAD,
        ),
    )
    tls: Tls = field(
        default=Tls(), metadata=setting(Section(Tls), "The certificate.", interrupts=Level.NGINX_RELOAD)
    )
    hub: Hub = field(
        default=Hub(),
        metadata=setting(Section(Hub), "JupyterHub and its users.", interrupts=Level.HUB_RESTART),
    )
    servers: tuple[Server, ...] = field(
        default=(
            Server(name=ServerName("julia"), title="Julia (Jupyter and Pluto)", build=Build(), warm=Warm()),
        ),
        metadata=setting(
            _SERVERS,
            "What users can start, by name; the first is the default; with several, users choose.",
            interrupts=Level.NEXT_SPAWN,
        ),
    )
    nginx: Nginx = field(
        default=Nginx(),
        metadata=setting(Section(Nginx), "The web server.", interrupts=Level.NGINX_RELOAD),
    )
    metrics: Metrics = field(
        default=Metrics(),
        metadata=setting(Section(Metrics), "Metrics and the status page.", interrupts=Level.NOTHING),
    )
    apply: Apply = field(
        default=Apply(),
        metadata=setting(Section(Apply), "How edits of this file are applied.", interrupts=Level.NOTHING),
    )
