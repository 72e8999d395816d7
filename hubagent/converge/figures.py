"""Figures of the hub and the proxy, read from what they publish. Pure, and tolerant: what is absent is None.

Sources: the hub's /hub/metrics (jupyterhub/metrics.py), the proxy's /metrics and GET /api/routes
(configurable-http-proxy, lib/metrics.js and lib/configproxy.js). The hub's text has thousands of lines,
mostly request histograms, and is read at every check, so only the lines that matter are parsed.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Final

from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from hubagent.state.status import Figures

_SPAWN: Final = "jupyterhub_server_spawn_duration_seconds"
_LOOP: Final = "jupyterhub_event_loop_interval_seconds"
_HUB_PREFIXES: Final = (
    "jupyterhub_total_users",
    "jupyterhub_running_servers",
    "jupyterhub_active_users",
    f"{_SPAWN}_sum",
    f"{_SPAWN}_count",
    f"{_LOOP}_bucket",
)
_FAILED: Final = ("failure", "error")  # the second since JupyterHub 6
_PUT_OFF: Final = ("throttled", "too-many-users", "already-pending")  # statuses of their own before 6
_PROXY_PREFIXES: Final = ("process_open_fds", "process_resident_memory_bytes")


def samples(text: str, prefixes: tuple[str, ...]) -> Iterator[Sample]:
    """The samples of Prometheus' text format whose line starts with one of `prefixes`; lines that are not
    samples are passed over."""
    for line in text.splitlines():
        if line.startswith(prefixes):
            with suppress(ValueError):  # line by line, so that one broken line takes no other along
                for family in text_string_to_metric_families(line):  # type: ignore[no-untyped-call]
                    yield from (sample for sample in family.samples if math.isfinite(sample.value))


def parse_hub(text: str) -> Figures:
    """The hub's /hub/metrics. Durations and counts are since the hub started."""
    found = tuple(samples(text, _HUB_PREFIXES))
    return Figures(
        hub_users=_whole(_total(found, "jupyterhub_total_users")),
        hub_running_servers=_whole(_total(found, "jupyterhub_running_servers")),
        hub_active_users=_whole(_total(found, "jupyterhub_active_users", period="24h")),
        hub_spawn_duration_sum_s=_total(found, f"{_SPAWN}_sum", status="success"),
        hub_spawn_count=_whole(_total(found, f"{_SPAWN}_count", status="success")),
        hub_spawn_failures=_failures(found),
        hub_event_loop_p99_s=_quantile(found, f"{_LOOP}_bucket", 0.99),
    )


def parse_proxy(text: str) -> Figures:
    """The proxy's /metrics."""
    found = tuple(samples(text, _PROXY_PREFIXES))
    return Figures(
        proxy_open_files=_whole(_total(found, "process_open_fds")),
        proxy_memory_bytes=_whole(_total(found, "process_resident_memory_bytes")),
    )


def merge(*parts: Figures) -> Figures:
    """One value out of several, the first that knows a figure wins."""
    known: dict[str, int | float] = {}
    for part in parts:
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if value is not None:
                known.setdefault(field.name, value)
    return Figures(**known)  # type: ignore[arg-type]  # each value comes from the field of this name


def _total(found: Sequence[Sample], name: str, **labels: str) -> float | None:
    """The sum over all series of this name with these labels: newer hubs split some series further."""
    values = [s.value for s in found if s.name == name and labels.items() <= s.labels.items()]
    return sum(values) if values else None


def _failures(found: Sequence[Sample]) -> int | None:
    """Starts that went wrong; not those that the hub put off (its `throttled` and the like)."""
    counts = [
        sample.value
        for sample in found
        if sample.name == f"{_SPAWN}_count"
        and sample.labels.get("status") in _FAILED
        and sample.labels.get("reason") not in _PUT_OFF
    ]
    return _whole(sum(counts)) if counts else None


def _whole(value: float | None) -> int | None:
    return None if value is None else round(value)


def _quantile(found: Sequence[Sample], name: str, q: float) -> float | None:
    """Prometheus' histogram_quantile(): linear within a bucket; in the last, open one its lower bound."""
    counts: dict[float, float] = {}
    for sample in found:
        bound = _number(sample.labels.get("le", "")) if sample.name == name else None
        if bound is not None:
            counts[bound] = counts.get(bound, 0.0) + sample.value
    if not counts or counts.get(math.inf, 0.0) <= 0:
        return None
    rank = q * counts[math.inf]
    lower = below = 0.0
    for bound in sorted(counts):
        if counts[bound] >= rank:
            inside = counts[bound] - below
            share = (rank - below) / inside if inside > 0 else 1.0
            return lower if math.isinf(bound) else lower + (bound - lower) * share
        lower, below = bound, counts[bound]
    return lower  # the counts fall somewhere, which a histogram's never do: the largest bound


def _number(text: str) -> float | None:
    """A float of the text format, None for NaN and for what is no number."""
    try:
        value = float(text)
    except ValueError:
        return None
    return None if math.isnan(value) else value
