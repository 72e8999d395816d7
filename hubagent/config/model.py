"""The configuration: frozen dataclasses, one for each mapping of the YAML file.

Field names are the YAML keys, with the unit added where the value is a number in a unit
(`memory: 4G` becomes `memory_bytes`). Every field has a default, so `Config()` is the shipped one.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from hubagent.config.types import Hostname, ListenAddress, ServerName, TimeOfDay, Username


class TlsMode(enum.Enum):
    SELF_SIGNED = "self-signed"
    FILES = "files"
    LETSENCRYPT = "letsencrypt"


class Signup(enum.Enum):
    APPROVAL = "approval"
    OPEN = "open"
    CLOSED = "closed"


class MountMode(enum.Enum):
    READ_ONLY = "ro"
    READ_WRITE = "rw"


class Sysimage(enum.Enum):
    AUTO = "auto"
    ALWAYS = "always"
    NEVER = "never"


class Disruptive(enum.Enum):
    ASK = "ask"
    WINDOW = "window"
    ALWAYS = "always"


class Drift(enum.Enum):
    FIX = "fix"
    WARN = "warn"


@dataclass(frozen=True, slots=True)
class Tls:
    mode: TlsMode = TlsMode.SELF_SIGNED
    certificate: PurePosixPath | None = None
    key: PurePosixPath | None = None
    email: str | None = None
    acme_directory: str | None = None


@dataclass(frozen=True, slots=True)
class Passwords:
    min_length: int = 10
    check_common: bool = True
    max_failed_logins: int = 10
    lockout_s: float = 600.0


@dataclass(frozen=True, slots=True)
class Hub:
    admins: tuple[Username, ...] = (Username("admin"),)
    authenticator: str = "native"
    signup: Signup = Signup.APPROVAL
    ask_email: bool = True
    passwords: Passwords = Passwords()
    landing: str = "/lab"
    stop_idle_after_s: float = 1800.0
    database: str = "sqlite"
    database_password_file: PurePosixPath | None = None
    traits: Mapping[str, Mapping[str, object]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Build:
    base: str = "debian:bookworm-slim"
    julia: str = "1.12"
    packages: tuple[str, ...] = ("IJulia", "Pluto", "PlutoUI", "Plots")
    sysimage: Sysimage = Sysimage.AUTO
    apt: tuple[str, ...] = ()
    pip: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Mount:
    source: PurePosixPath  # YAML key `from`
    target: PurePosixPath  # YAML key `to`
    mode: MountMode = MountMode.READ_ONLY


@dataclass(frozen=True, slots=True)
class Lecture:
    """One line of `warm.schedule`: from when to when, on which days, how many slots."""

    days: tuple[int, ...]  # 0 is Monday
    start: TimeOfDay  # YAML key `from`
    end: TimeOfDay  # YAML key `to`
    ready: int


@dataclass(frozen=True, slots=True)
class Warm:
    ready: int = 2
    max: int = 40
    kernels: Mapping[str, int] = field(default_factory=dict)
    pluto: bool = True
    max_age_s: float = 21600.0
    schedule: tuple[Lecture, ...] = ()


@dataclass(frozen=True, slots=True)
class Server:
    """One entry of `servers`: a kind of server that users can start."""

    name: ServerName
    title: str
    image: str = "hubagent/julia"
    build: Build | None = None
    memory_bytes: int = 4 * 1024**3
    cpus: float = 2.0
    processes: int = 512
    home: PurePosixPath = PurePosixPath("/home/jovyan/work")
    volume: str = "jupyterhub-user-{username}"
    mounts: tuple[Mount, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict)
    warm: Warm | None = None


@dataclass(frozen=True, slots=True)
class Nginx:
    max_body_bytes: int = 100 * 1024**2
    websocket_drain_s: float = 43200.0


@dataclass(frozen=True, slots=True)
class MetricsTls:
    certificate: PurePosixPath
    key: PurePosixPath


@dataclass(frozen=True, slots=True)
class Metrics:
    listen: ListenAddress = ListenAddress("127.0.0.1", 9811)
    tls: MetricsTls | None = None
    users: Mapping[str, str] = field(default_factory=dict)  # name to bcrypt hash


@dataclass(frozen=True, slots=True)
class Window:
    start: TimeOfDay
    end: TimeOfDay


@dataclass(frozen=True, slots=True)
class Apply:
    disruptive: Disruptive = Disruptive.ASK
    window: Window | None = None
    drift: Drift = Drift.FIX


@dataclass(frozen=True, slots=True)
class Config:
    host: Hostname | None = None
    tls: Tls = Tls()
    hub: Hub = Hub()
    servers: tuple[Server, ...] = (
        Server(name=ServerName("julia"), title="Julia (Jupyter and Pluto)", build=Build(), warm=Warm()),
    )
    nginx: Nginx = Nginx()
    metrics: Metrics = Metrics()
    apply: Apply = Apply()
