"""Values of Status and Plan as a real machine gives them."""

from __future__ import annotations

from hubagent.config.made.changes import Change
from hubagent.ladder import Level
from hubagent.state.model import Component, Plan, Step, Verb
from hubagent.state.status import (
    CertificateStatus,
    ComponentStatus,
    Figures,
    ImageState,
    ImageStatus,
    PoolStatus,
    Problem,
    Reason,
    Result,
    ServerStatus,
    Status,
)

NOW_S = 1_800_000_000.0
DAY_S = 86_400.0

FIGURES = Figures(
    hub_users=183,
    hub_running_servers=28,
    hub_spawn_duration_sum_s=88.2,
    hub_spawn_count=36,
    hub_event_loop_p99_s=0.061,
    proxy_routes=29,
    nginx_old_workers=1,
    hub_active_users=64,
    hub_spawn_failures=1,
    proxy_open_files=88,
    proxy_memory_bytes=71_000_000,
)


def components(*, hub_healthy: bool = True) -> tuple[ComponentStatus, ...]:
    return (
        ComponentStatus(Component.NGINX, "nginx.service", "active", True),
        ComponentStatus(
            Component.HUB,
            "jupyterhub.service",
            "active" if hub_healthy else "failed",
            hub_healthy,
            restarts=0 if hub_healthy else 3,
            detail="" if hub_healthy else "exited with code 1 four times in a minute",
        ),
        ComponentStatus(Component.PROXY, "configurable-http-proxy.service", "active", True),
        ComponentStatus(Component.FIREWALL, "hubagent-firewall.service", "active", True),
        ComponentStatus(Component.DOCKER, None, "up", True, detail="20.10.24, live-restore"),
        ComponentStatus(Component.METRICS, None, "up", True, detail="127.0.0.1:9811"),
    )


def servers(running: int = 28, stale: int = 3) -> tuple[ServerStatus, ...]:
    return tuple(ServerStatus(f"user{n}", "julia", f"jupyter-user{n}", n < stale) for n in range(running))


POOLS = (
    PoolStatus("julia", desired=4, ready=3, warming=1, claimed=12, memory_bytes=3 * 220 * 1024**2),
    PoolStatus("python", desired=1, ready=1, memory_bytes=180 * 1024**2),
)

EMPTY_POOLS = (
    PoolStatus(
        "julia",
        desired=4,
        claimed=12,
        dead=1,
        last_failure="gave up after 300 s of processor time in warming kernel julia",
        backing_off_until_s=NOW_S + 40,
    ),
    PoolStatus("python", desired=2),
)


def healthy() -> Status:
    return Status(
        version="0.1.0",
        pid=812,
        looks=4711,
        looked_at_s=NOW_S - 8,
        result=Result.NOOP,
        url="https://hub.example.org",
        config_sha256="ab" * 32,
        config_accepted_at_s=NOW_S - 3600,
        generation=42,
        components=components(),
        steps=(
            Step(
                Component.NGINX, Verb.RELOAD, Level.NGINX_RELOAD, "nginx.max_body changed from 100m to 200m"
            ),
        ),
        certificate=CertificateStatus(NOW_S + 61 * DAY_S, ("hub.example.org",), False),
        servers=servers(),
        pools=POOLS,
        figures=FIGURES,
        disk_free_bytes=212 * 1024**3,
    )


IMAGES = (
    ImageStatus(
        "julia", "hubagent/julia", ImageState.PRESENT, since_s=NOW_S - DAY_S, usable=True, build_s=1800.0
    ),
)


def degraded() -> Status:
    return Status(
        version="0.1.0",
        pid=812,
        looks=4712,
        looked_at_s=NOW_S - 3,
        result=Result.ROLLED_BACK,
        url="https://hub.example.org",
        config_sha256="cd" * 32,
        config_accepted_at_s=NOW_S - 3600,
        generation=42,
        candidate=43,
        quarantined_sha256="cd" * 32,
        components=components(hub_healthy=False),
        problems=(
            Problem(
                Component.NGINX,
                Reason.VERIFY,
                "generation 43 did not answer on 0.0.0.0:443 within 5 s: port 443 is held by apache2. Stop "
                "it (`systemctl disable --now apache2`), then save the file again",
            ),
            Problem(
                Component.HUB, Reason.UNIT, "jupyterhub.service keeps failing; see `journalctl -u jupyterhub`"
            ),
        ),
        pending=(
            Step(Component.PROXY, Verb.RESTART, Level.PROXY_RESTART, "the proxy's error page has moved"),
        ),
        pending_changes=(
            Change("proxy.error_target", "http://172.18.0.1:8081/hub/error", "http://10.0.0.1/error"),
        ),
        certificate=CertificateStatus(NOW_S + 5 * DAY_S, ("hub.example.org", "www.example.org"), True),
        servers=servers(28, 3),
        pools=EMPTY_POOLS,
        figures=FIGURES,
        docker_up=False,
        disk_free_bytes=1_200_000_000,
        last_failure="nginx: [emerg] bind() to 0.0.0.0:443 failed (98: Address already in use)",
        last_failure_at_s=NOW_S - 95,
    )


def refused() -> Status:
    return Status(
        version="0.1.0",
        pid=812,
        looks=9,
        looked_at_s=NOW_S,
        result=Result.REJECTED,
        generation=3,
        config_errors=(
            "/etc/hubagent.yaml:12:3: hub.admin: unknown key; did you mean `admins`?",
            "/etc/hubagent.yaml:31:13: servers.julia.memory: `4 gigs` is not a size; write 4G",
        ),
        problems=(Problem(None, Reason.CONFIG, "the file was refused; the one before is in force"),),
        components=components(),
    )


def plan() -> Plan:
    return Plan(
        generation=44,
        steps=(
            Step(Component.NGINX, Verb.RELOAD, Level.NGINX_RELOAD, "nginx.max_body changed"),
            Step(Component.HUB, Verb.RESTART, Level.HUB_RESTART, "hub.admins changed"),
        ),
        pending=(Step(Component.PROXY, Verb.RESTART, Level.PROXY_RESTART, "its port changed"),),
        changes=(
            Change("nginx.max_body", "100m", "200m"),
            Change("hub.admins", "[admin]", "[admin, kim]"),
        ),
    )
