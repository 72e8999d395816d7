"""The warm pool's metrics: events counted as they happen, and the families of its state."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Histogram
from prometheus_client.metrics_core import GaugeMetricFamily, Metric

from hubagent.pool.events import ClaimResult, Eviction, SlotFailure, SpawnKind
from hubagent.state.status import PoolStatus

START_BUCKETS_S: Final = (
    *(0.005, 0.01, 0.015, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75),
    *(1.0, 1.5, 2.0, 3.0, 5.0, 10.0, 30.0),
)
"""From a claim on a quiet machine, a few milliseconds, to a cold start in a storm."""

REFILL_BUCKETS_S: Final = (1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 15.0, 20.0, 30.0, 60.0, 120.0, 180.0)
"""A container's start with the imports takes seconds; kernels and Pluto more."""

PHASES: Final = ("creating", "warming", "ready", "claiming", "claimed", "dead")
"""Fields of PoolStatus."""


class PoolMetrics:
    """`pool_events.PoolRecorder`."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._claims = Counter(
            "hubagent_pool_claims",
            "Claims of servers that have `warm`: a slot (hit), none ready (miss), or a slot that failed (fail).",
            ("server", "result"),
            registry=registry,
        )
        self._claim_seconds = Histogram(
            "hubagent_pool_claim_duration_seconds",
            "The agent's part of a claim, with home and limits; what the server needs to start is not in it.",
            buckets=START_BUCKETS_S,
            registry=registry,
        )
        self._spawn_seconds = Histogram(
            "hubagent_spawn_duration_seconds",
            "From the hub's request to the answer: a warm server serves then, a cold one's container runs.",
            ("kind",),
            buckets=START_BUCKETS_S,
            registry=registry,
        )
        self._refill_seconds = Histogram(
            "hubagent_pool_refill_duration_seconds",
            "How long a slot took to get ready.",
            buckets=REFILL_BUCKETS_S,
            registry=registry,
        )
        self._evictions = Counter(
            "hubagent_pool_evictions",
            "Slots removed before they were used.",
            ("reason",),
            registry=registry,
        )
        self._failures = Counter(
            "hubagent_pool_slot_failures",
            "Slots that did not become ready or did not stay ready, by cause.",
            ("server", "reason"),
            registry=registry,
        )
        # A series that begins at its first event hides that event from increase().
        for kind in SpawnKind:
            self._spawn_seconds.labels(kind.value)
        for reason in Eviction:
            self._evictions.labels(reason.value)

    def know(self, servers: Iterable[str]) -> None:
        """These have pools: begin their counters."""
        for server in servers:
            for result in ClaimResult:
                self._claims.labels(server, result.value)
            for failure in SlotFailure:
                self._failures.labels(server, failure.value)

    def claim(self, server: str, result: ClaimResult) -> None:
        self._claims.labels(server, result.value).inc()

    def claim_took(self, duration_s: float) -> None:
        self._claim_seconds.observe(duration_s)

    def spawned(self, kind: SpawnKind, duration_s: float) -> None:
        self._spawn_seconds.labels(kind.value).observe(duration_s)

    def refilled(self, duration_s: float) -> None:
        self._refill_seconds.observe(duration_s)

    def evicted(self, reason: Eviction) -> None:
        self._evictions.labels(reason.value).inc()

    def slot_failed(self, server: str, failure: SlotFailure) -> None:
        self._failures.labels(server, failure.value).inc()


def families(pools: Iterable[PoolStatus]) -> Iterator[Metric]:
    """What there is now."""
    slots = GaugeMetricFamily("hubagent_pool_slots", "Warm slots, by state.", labels=("server", "state"))
    desired = GaugeMetricFamily(
        "hubagent_pool_slots_desired",
        "Slots that should be ready: `ready`, or more for a lecture.",
        labels=("server",),
    )
    memory = GaugeMetricFamily("hubagent_pool_memory_bytes", "Memory of unused slots.", labels=("server",))
    backing_off = GaugeMetricFamily(
        "hubagent_pool_backing_off",
        "1 while no slot is made because the last ones failed.",
        labels=("server",),
    )
    failing = GaugeMetricFamily(
        "hubagent_pool_claims_failing",
        "1 while slots cannot become users' servers, as the last claims or the agent's own check have shown.",
        labels=("server",),
    )
    spares = GaugeMetricFamily(
        "hubagent_pool_spare_memory_bytes",
        "Memory of kernels and Plutos that still wait in users' servers, as these say.",
        labels=("server",),
    )
    for pool in pools:
        spares.add_metric((pool.server,), pool.spare_bytes)
        failing.add_metric((pool.server,), float(pool.claims_fail is not None))
        for phase in PHASES:
            slots.add_metric((pool.server, phase), getattr(pool, phase))
        desired.add_metric((pool.server,), pool.desired)
        if pool.memory_bytes is not None:
            memory.add_metric((pool.server,), pool.memory_bytes)
        backing_off.add_metric((pool.server,), float(pool.backing_off_until_s is not None))
    yield from (slots, desired, memory, backing_off, failing, spares)
