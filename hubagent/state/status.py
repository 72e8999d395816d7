"""What the agent says of itself, as one frozen value: source of `status`, page, metrics and STATUS=."""

from __future__ import annotations

import enum
from dataclasses import dataclass

from hubagent.config.made.changes import Change
from hubagent.state.model import Component, Step


class Result(enum.Enum):
    """How a check of the machine ended."""

    NOOP = "noop"  # everything was as it should be
    OK = "ok"  # steps were taken and verified
    FAILED = "failed"  # could not be finished; will be tried again
    ROLLED_BACK = "rolled_back"  # verified bad and taken back
    REJECTED = "rejected"  # the file or the candidate was refused; nothing was touched


class Reason(enum.Enum):
    """Why the agent calls itself degraded. Closed: this is a metric label."""

    CONFIG = "config"
    PREFLIGHT = "preflight"
    VERIFY = "verify"
    UNIT = "unit"
    MASKED = "masked"
    DRIFT = "drift"
    DBUS = "dbus"
    DOCKER = "docker"
    IMAGE = "image"
    DISK = "disk"
    CERTIFICATE = "certificate"
    METRICS = "metrics"
    POOL = "pool"
    SPAWN = "spawn"  # the hub cannot ask for servers
    SERVER = "server"  # no server starts with the settings of an entry of `servers`
    PORT = "port"  # a service runs without a port of its own
    DOOR = "door"  # users cannot get in by the address that they use
    DATABASE = "database"  # the hub's does not take what the hub writes
    BUSY = "busy"  # something took longer than it may, and is tried again with more time
    SETTINGS = "settings"  # what the file in force asks for and does not get
    HOME = "home"  # somebody waits for a decision about a home


@dataclass(frozen=True, slots=True)
class Problem:
    """Something a person should know, with what to do."""

    component: Component | None
    reason: Reason
    message: str


@dataclass(frozen=True, slots=True)
class ComponentStatus:
    component: Component
    unit: str | None
    state: str  # systemd's active state, or "up"/"down" for what is not a unit
    healthy: bool
    restarts: int = 0
    detail: str = ""


@dataclass(frozen=True, slots=True)
class RenewalStatus:
    """What is done to get a certificate from an authority."""

    authority: str  # in words
    names: tuple[str, ...]
    tried_at_s: float | None = None  # unix time of the last try
    failure: str = ""  # why it got none, with what to do; empty when it got one
    next_try_s: float | None = None  # unix time
    is_limit: bool = False  # the authority takes none before, whoever asks
    is_trying: bool = False


@dataclass(frozen=True, slots=True)
class CertificateStatus:
    not_after_s: float  # unix time
    names: tuple[str, ...]
    self_signed: bool
    lifetime_s: float = 0.0  # from the beginning of its validity to its end
    renewal: RenewalStatus | None = None  # None where no authority is asked


@dataclass(frozen=True, slots=True)
class ServerStatus:
    """A running user server."""

    user: str
    server: str  # key in `servers`
    container: str
    stale: bool  # started from an earlier definition than today's


@dataclass(frozen=True, slots=True)
class PoolStatus:
    """The warm slots of one entry of `servers`, counted by how far they are."""

    server: str  # key in `servers`
    desired: int  # slots that should be ready now
    creating: int = 0
    warming: int = 0
    ready: int = 0
    claiming: int = 0
    claimed: int = 0  # users' servers that were slots
    dead: int = 0  # being removed
    memory_bytes: int | None = None  # of the slots that nobody has; None while none was measured
    last_failure: str | None = None  # until a slot gets ready
    backing_off_until_s: float | None = None
    spare_kernels: int = 0  # that still wait in users' servers, as these say
    spare_plutos: int = 0  # likewise, opened by nobody
    spare_bytes: int = 0  # of both
    lacks: str | None = None  # what did not become warm in a ready slot
    claims_fail: str | None = None  # why slots cannot become users' servers; None as long as they can
    claims_fail_since_s: float | None = None

    @property
    def is_in_trouble(self) -> bool:
        """Slots are wanted, and users get none: making them has failed, or giving them away does."""
        none_made = self.ready == 0 and self.last_failure is not None
        return self.desired > 0 and (none_made or self.claims_fail is not None)


class ImageState(enum.Enum):
    """What is done about a server's image. Closed: this is a metric label."""

    PRESENT = "present"  # there, and what the configuration asks for
    BUILDING = "building"
    PULLING = "pulling"
    PROVING = "proving"
    FAILED = "failed"  # what is asked for cannot be had; tried again later
    MISSING = "missing"  # not looked at yet, and not there


@dataclass(frozen=True, slots=True)
class ImageStatus:
    """The image of one entry of `servers`."""

    server: str  # key in `servers`
    image: str
    state: ImageState
    detail: str = ""
    progress: str = ""  # such as "step 3 of 18"
    log: str | None = None  # path of the last build's log
    since_s: float = 0.0  # of this state
    usable: bool = False  # an image is there that servers can be started from, perhaps an earlier one
    build_s: float | None = None  # how long the last build took, since the agent started
    slow_pages: str = ""  # why pages load static files from users' servers; empty when nginx serves them


@dataclass(frozen=True, slots=True)
class Figures:
    """Numbers of the hub and the proxy; None where not known now."""

    hub_users: int | None = None
    hub_running_servers: int | None = None
    hub_spawn_duration_sum_s: float | None = None
    hub_spawn_count: int | None = None
    hub_event_loop_p99_s: float | None = None
    proxy_routes: int | None = None
    nginx_old_workers: int | None = None
    hub_active_users: int | None = None  # in the last 24 hours; the hub counts once an hour
    hub_spawn_failures: int | None = None  # since the hub started
    proxy_open_files: int | None = None
    proxy_memory_bytes: int | None = None  # resident


@dataclass(frozen=True, slots=True)
class Status:
    """Everything about now. Times are unix seconds, sizes bytes."""

    version: str
    pid: int
    looks: int  # how many times the agent has checked since it started
    looked_at_s: float
    result: Result
    url: str | None = None
    config_sha256: str | None = None
    config_errors: tuple[str, ...] = ()
    config_accepted_at_s: float | None = None
    generation: int | None = None  # of the files in force and verified
    candidate: int | None = None  # a generation that was tried and refused or taken back
    quarantined_sha256: str | None = None
    components: tuple[ComponentStatus, ...] = ()
    problems: tuple[Problem, ...] = ()
    steps: tuple[Step, ...] = ()  # taken in the last check that did something
    pending: tuple[Step, ...] = ()
    pending_changes: tuple[Change, ...] = ()
    certificate: CertificateStatus | None = None
    servers: tuple[ServerStatus, ...] = ()
    images: tuple[ImageStatus, ...] = ()
    pools: tuple[PoolStatus, ...] = ()
    homes_waiting: int = 0  # homes of other accounts that somebody asks for
    figures: Figures = Figures()
    dbus_up: bool = True
    docker_up: bool = True
    disk_free_bytes: int | None = None
    time_zone: str = ""  # that lectures and windows are in
    last_failure: str | None = None  # message, kept until the next success that replaces it
    last_failure_at_s: float | None = None

    @property
    def degraded(self) -> bool:
        return bool(self.problems)

    @property
    def is_late(self) -> bool:
        """The file is valid, and not in force only because something took longer than it may; it is tried again."""
        is_unfinished = self.result in (Result.FAILED, Result.ROLLED_BACK)
        return is_unfinished and any(problem.reason is Reason.BUSY for problem in self.problems)
