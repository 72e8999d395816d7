"""The agent's own Prometheus metrics: events counted as they happen, state read from the cached Status.

Two kinds of series share one private registry:

- counters and the histogram, moved by the reconcile thread through the methods of `Metrics`;
- everything that is state (generation, units, certificate, hub and proxy figures …), computed at scrape time
  by `state_metrics.StateCollector` from the last Status. A scrape never asks D-Bus, Docker or the disk, so it
  answers when they do not.

Labels hold closed sets only: enum values, unit names of layout.py, server names of the YAML file. Never a
user, container, volume, path, text of an exception or hash.
"""

from __future__ import annotations

import platform
import time
from collections.abc import Callable, Iterable
from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector, generate_latest
from prometheus_client.metrics_core import Metric

import hubagent
from hubagent.layout import DOCKER, FIREWALL, HUB, HUB_TEST, NGINX, NGINX_TEST, PORT_HOLDER, PROXY
from hubagent.ports import JobResult, UnitVerb
from hubagent.state.model import Component, Step, Verb
from hubagent.state.status import Result, Status
from hubagent.web.pool_metrics import PoolMetrics
from hubagent.web.state_metrics import StateCollector

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"
"""Prometheus' text format, as every version of prometheus_client writes it."""

DURATION_BUCKETS_S: Final = (
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.15,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
    300.0,
)
"""A check that finds nothing to do takes milliseconds; one that restarts the hub takes seconds."""

_STEP_RESULTS: Final = ("ok", "failed")
_UNITS: Final = (NGINX, HUB, PROXY, FIREWALL, DOCKER, NGINX_TEST, HUB_TEST, PORT_HOLDER)
"""Those that the agent gives jobs to."""

_SUCCESSES: Final = (Result.NOOP, Result.OK)


class Metrics:
    """What the reconciler reports to, and what a scrape reads. Safe to call from several threads."""

    def __init__(self, *, now: Callable[[], float] = time.time) -> None:
        """`now` gives unix seconds."""
        self._now = now
        self._status: Status | None = None
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self._registry.register(StateCollector(lambda: self._status))
        build = Gauge(
            "hubagent_build_info", "Always 1.", ("version", "python_version"), registry=self._registry
        )
        build.labels(hubagent.__version__, platform.python_version()).set(1)

        self._looks = self._counter("hubagent_reconcile", "Checks of the machine, by result.", "result")
        self._look_seconds = Histogram(
            "hubagent_reconcile_duration_seconds",
            "Duration of a check, including the steps it led to.",
            buckets=DURATION_BUCKETS_S,
            registry=self._registry,
        )
        self._last_success = Gauge(
            "hubagent_reconcile_last_success_timestamp_seconds",
            "When a check last ended with everything as configured; 0 before the first.",
            registry=self._registry,
        )
        self._steps = self._counter("hubagent_step", "Steps taken.", "component", "verb", "result")
        self._rollbacks = self._counter(
            "hubagent_rollbacks", "Changes rolled back because they did not serve as configured.", "component"
        )
        self._drift = self._counter(
            "hubagent_drift_detected", "Managed files or units found changed by hand.", "component"
        )
        self._jobs = self._counter("hubagent_unit_jobs", "systemd jobs by result.", "name", "type", "result")
        self._watch_errors = self._counter("hubagent_watch_errors", "Failures of the file watch.")
        self._reconnects = self._counter("hubagent_dbus_reconnects", "Reconnections to D-Bus.")
        self._requests = self._counter(
            "hubagent_http_requests", "Requests to this endpoint, by answer.", "path", "code"
        )
        self._dropped = self._counter(
            "hubagent_http_connections_dropped",
            "Connections closed to keep within the limit: too many at once, or too slow.",
        )
        self.pool = PoolMetrics(self._registry)
        # A series that begins at its first event hides that event from increase(); begin the small sets at 0.
        for result in Result:
            self._looks.labels(result.value)
        for component in Component:
            self._rollbacks.labels(component.value)
            self._drift.labels(component.value)
        for component, verb, ended in product(Component, Verb, _STEP_RESULTS):
            self._steps.labels(component.value, verb.value, ended)
        for unit, asked, told in product(_UNITS, UnitVerb, JobResult):
            self._jobs.labels(template_name(unit), asked.value, told.value)

    @property
    def status(self) -> Status | None:
        """The last Status given, None before the first check."""
        return self._status

    def set_status(self, status: Status) -> None:
        self._status = status
        self.pool.know(pool.server for pool in status.pools)

    def reconcile_finished(self, result: Result, duration_s: float) -> None:
        self._looks.labels(result.value).inc()
        self._look_seconds.observe(duration_s)
        if result in _SUCCESSES:
            self._last_success.set(self._now())

    def step_finished(self, step: Step, ok: bool) -> None:  # noqa: FBT001
        self._steps.labels(step.component.value, step.verb.value, _STEP_RESULTS[not ok]).inc()

    def rollback(self, component: Component) -> None:
        self._rollbacks.labels(component.value).inc()

    def drift(self, component: Component) -> None:
        self._drift.labels(component.value).inc()

    def unit_job(self, unit: str, verb: UnitVerb, result: JobResult) -> None:
        self._jobs.labels(template_name(unit), verb.value, result.value).inc()

    def watch_error(self) -> None:
        self._watch_errors.inc()

    def dbus_reconnect(self) -> None:
        self._reconnects.inc()

    def http_request(self, path: str, code: int) -> None:
        """`path` must be one of a closed set; the caller maps unknown paths to one word."""
        self._requests.labels(path, str(code)).inc()

    def http_connection_dropped(self) -> None:
        self._dropped.inc()

    def collect(self) -> Iterable[Metric]:
        """All families, without the `_created` series that some client versions add to every counter."""
        for family in self._registry.collect():
            family.samples = [s for s in family.samples if s.name != f"{family.name}_created"]
            yield family

    def exposition(self) -> bytes:
        """Prometheus' text format, see CONTENT_TYPE."""
        return generate_latest(self)  # type: ignore[arg-type]  # only collect() is used of a registry

    def _counter(self, name: str, documentation: str, *labels: str) -> Counter:
        return Counter(name, documentation, labels, registry=self._registry)


def template_name(unit: str) -> str:
    """The unit's name without its instance: `a@7.service` is `a@.service`. Instances are generations, and
    would make a new series for each edit."""
    prefix, at, rest = unit.partition("@")
    return f"{prefix}@.{rest.rpartition('.')[2]}" if at else unit
