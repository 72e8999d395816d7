"""State as metrics: a pure function from Status to metric families, and the collector that calls it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric, SummaryMetricFamily
from prometheus_client.registry import Collector

from hubagent.state.model import Component
from hubagent.state.status import Figures, Reason, Status
from hubagent.web import image_metrics, pool_metrics

UNIT_STATES: Final = ("active", "activating", "deactivating", "inactive", "failed")
"""The five states, as node_exporter has them; a unit is in exactly one, or in none when it is not known."""

_FOLDED_STATES: Final = {"reloading": "active", "maintenance": "inactive"}

_REFUSALS: Final = (Reason.CONFIG, Reason.PREFLIGHT, Reason.VERIFY)

AGENT: Final = "agent"
"""The `component` of a problem that belongs to no component."""


class StateCollector(Collector):
    """Computes families at scrape time from the Status that `source` gives; none while it gives None."""

    def __init__(self, source: Callable[[], Status | None]) -> None:
        self._source = source

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        status = self._source()
        if status is not None:
            yield from families(status)


def edit_in_force(status: Status) -> bool:
    """Whether the file as it is now on disk was neither refused nor taken back. One that waits for the machine
    to answer was not: that is a problem of its own, and a check that failed."""
    quarantined = status.quarantined_sha256 is not None and status.quarantined_sha256 == status.config_sha256
    refused = any(problem.reason in _REFUSALS for problem in status.problems)
    return not (status.config_errors or quarantined or refused)


def families(status: Status) -> Iterator[Metric]:
    """Every state metric; a figure that is not known now has a family without samples."""
    yield from _configuration(status)
    yield from _components(status)
    yield from _problems(status)
    yield _gauge("hubagent_dbus_up", "1 when systemd answers over D-Bus.", float(status.dbus_up))
    yield _gauge("hubagent_docker_up", "1 when the Docker engine answers.", float(status.docker_up))
    yield _gauge(
        "hubagent_disk_free_bytes", "Free space where hubagent keeps its state.", status.disk_free_bytes
    )
    yield from _certificate(status)
    yield from _servers(status)
    yield _gauge(
        "hubagent_homes_waiting",
        "Homes of earlier accounts that others of the same name ask for: `hubagent homes`.",
        float(status.homes_waiting),
    )
    yield from image_metrics.families(status.images)
    yield from pool_metrics.families(status.pools)
    yield from _figures(status.figures)


def _configuration(status: Status) -> Iterator[Metric]:
    yield _gauge(
        "hubagent_config_last_reload_successful",
        "0 when the configuration file as it is now was refused or rolled back, else 1.",
        float(edit_in_force(status)),
    )
    yield _gauge(
        "hubagent_config_last_reload_success_timestamp_seconds",
        "When a configuration was last accepted.",
        status.config_accepted_at_s,
    )
    known = [number for number in (status.generation, status.candidate) if number is not None]
    yield _gauge("hubagent_config_generation", "The newest generation made.", max(known, default=None))
    yield _gauge(
        "hubagent_config_applied_generation",
        "The generation that is in force and verified.",
        status.generation,
    )
    yield _gauge(
        "hubagent_last_look_timestamp_seconds", "When the agent last checked the machine.", status.looked_at_s
    )
    yield _gauge(
        "hubagent_last_failure_timestamp_seconds", "When something last failed.", status.last_failure_at_s
    )
    yield _gauge(
        "hubagent_pending_changes",
        "Changed keys waiting for permission to drop websockets.",
        len(status.pending_changes),
    )
    waiting = {step.component for step in status.pending}
    pending = _labelled(
        "hubagent_pending_restart", "1 when a disruptive step is waiting for permission.", "component"
    )
    for component in Component:
        pending.add_metric((component.value,), float(component in waiting))
    yield pending


def _components(status: Status) -> Iterator[Metric]:
    healthy = _labelled("hubagent_component_healthy", "1 when the component works as it should.", "component")
    state = _labelled("hubagent_unit_state", "1 for the state that the unit is in.", "name", "state")
    restarts = _labelled(
        "hubagent_unit_restarts",
        "Automatic restarts as systemd counts them; a reset of the unit's failures sets it to 0.",
        "name",
    )
    hub_up: float | None = None
    for component in status.components:
        healthy.add_metric((component.component.value,), float(component.healthy))
        if component.component is Component.HUB:
            hub_up = float(component.healthy)
        if component.unit is None:
            continue
        now = _FOLDED_STATES.get(component.state, component.state)
        for name in UNIT_STATES:
            state.add_metric((component.unit, name), float(name == now))
        restarts.add_metric((component.unit,), component.restarts)
    yield healthy
    yield state
    yield restarts
    yield _gauge("hubagent_hub_up", "1 when the hub answers its health check.", hub_up)


def _problems(status: Status) -> Iterator[Metric]:
    degraded = _labelled(
        "hubagent_degraded", "1 for each kind of problem present now.", "component", "reason"
    )
    kinds = {(p.component.value if p.component else AGENT, p.reason.value) for p in status.problems}
    for kind in sorted(kinds):
        degraded.add_metric(kind, 1)
    yield degraded
    problems = _labelled("hubagent_problems", "Problems present now.", "reason")
    count = Counter(problem.reason for problem in status.problems)
    for reason in Reason:
        problems.add_metric((reason.value,), count[reason])
    yield problems


def _certificate(status: Status) -> Iterator[Metric]:
    certificate = status.certificate
    yield _gauge(
        "hubagent_certificate_expiry_timestamp_seconds",
        "When the certificate that nginx serves expires.",
        certificate.not_after_s if certificate else None,
    )
    yield _gauge(
        "hubagent_certificate_self_signed",
        "1 when browsers will warn of the certificate.",
        float(certificate.self_signed) if certificate else None,
    )
    yield _gauge(
        "hubagent_certificate_lifetime_seconds",
        "How long that certificate is valid in all.",
        certificate.lifetime_s if certificate else None,
    )
    renewal = certificate.renewal if certificate else None
    yield _gauge(
        "hubagent_certificate_last_try_timestamp_seconds",
        "When an authority was last asked for a certificate (tls.mode: letsencrypt).",
        renewal.tried_at_s if renewal else None,
    )
    yield _gauge(
        "hubagent_certificate_next_try_timestamp_seconds",
        "When an authority is asked for a certificate next (tls.mode: letsencrypt).",
        renewal.next_try_s if renewal else None,
    )
    yield _gauge(
        "hubagent_certificate_last_try_failed",
        "1 when the last try to get a certificate failed (tls.mode: letsencrypt).",
        float(bool(renewal.failure)) if renewal and renewal.tried_at_s is not None else None,
    )


def _servers(status: Status) -> Iterator[Metric]:
    running = _labelled("hubagent_servers", "Running user servers, by their entry in `servers`.", "server")
    stale = _labelled(
        "hubagent_servers_stale", "Running user servers started from an earlier definition.", "server"
    )
    total = Counter(server.server for server in status.servers)
    old = Counter(server.server for server in status.servers if server.stale)
    for name in sorted(total):
        running.add_metric((name,), total[name])
        stale.add_metric((name,), old[name])
    yield running
    yield stale


def _figures(figures: Figures) -> Iterator[Metric]:
    yield _gauge(
        "hubagent_nginx_old_workers", "Old nginx workers that are still draining.", figures.nginx_old_workers
    )
    yield _gauge("hubagent_proxy_routes", "Routes in the proxy.", figures.proxy_routes)
    yield _gauge("hubagent_proxy_open_fds", "Open files of the proxy.", figures.proxy_open_files)
    yield _gauge("hubagent_proxy_resident_memory_bytes", "Memory of the proxy.", figures.proxy_memory_bytes)
    yield _gauge("hubagent_hub_users", "Users that the hub knows.", figures.hub_users)
    yield _gauge("hubagent_hub_active_users", "Users seen in the last 24 hours.", figures.hub_active_users)
    yield _gauge(
        "hubagent_hub_running_servers", "Running servers as the hub counts.", figures.hub_running_servers
    )
    yield _gauge(
        "hubagent_hub_event_loop_p99_seconds",
        "99th percentile of the hub's event loop interval: its best sign of overload.",
        figures.hub_event_loop_p99_s,
    )
    failures = CounterMetricFamily(
        "hubagent_hub_spawn_failures", "Failed server starts since the hub started."
    )
    if figures.hub_spawn_failures is not None:
        failures.add_metric((), figures.hub_spawn_failures)
    yield failures
    spawn = SummaryMetricFamily(
        "hubagent_hub_spawn_duration_seconds", "Successful server starts since the hub started."
    )
    if figures.hub_spawn_count is not None and figures.hub_spawn_duration_sum_s is not None:
        spawn.add_metric((), figures.hub_spawn_count, figures.hub_spawn_duration_sum_s)
    yield spawn


def _gauge(name: str, documentation: str, value: float | None) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, documentation)
    if value is not None:
        family.add_metric((), value)
    return family


def _labelled(name: str, documentation: str, *labels: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, documentation, labels=labels)
