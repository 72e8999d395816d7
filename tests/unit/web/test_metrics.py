"""Counters, state at scrape time, and the rules for names and labels."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from hubagent.ladder import Level
from hubagent.pool.events import ClaimResult, Eviction, SpawnKind
from hubagent.ports import JobResult, UnitVerb
from hubagent.state.model import Component, Step, Verb
from hubagent.state.status import Figures, Problem, Reason, Result, ServerStatus, Status
from hubagent.web.metrics import Metrics, template_name
from tests.unit.converge.world import CONFIG, World

from . import samples

RELOAD = Step(Component.NGINX, Verb.RELOAD, Level.NGINX_RELOAD, "max_body changed")


def series(metrics: Metrics) -> dict[str, float]:
    """Every sample, as `name{a="1",b="2"}`, without those of the process itself."""
    found = {}
    for family in text_string_to_metric_families(metrics.exposition().decode()):
        for sample in family.samples:
            labels = ",".join(f'{name}="{value}"' for name, value in sorted(sample.labels.items()))
            found[f"{sample.name}{{{labels}}}" if labels else sample.name] = sample.value
    return found


def busy() -> Metrics:
    """With everything that can be counted counted once."""
    metrics = Metrics(now=lambda: samples.NOW_S)
    metrics.reconcile_finished(Result.OK, 0.12)
    metrics.step_finished(RELOAD, True)
    metrics.step_finished(RELOAD, False)
    metrics.rollback(Component.NGINX)
    metrics.drift(Component.HUB)
    metrics.unit_job("nginx.service", UnitVerb.RELOAD, JobResult.DONE)
    metrics.unit_job("hubagent-nginx-test@17.service", UnitVerb.START, JobResult.FAILED)
    metrics.watch_error()
    metrics.dbus_reconnect()
    metrics.http_request("/metrics", 200)
    metrics.http_connection_dropped()
    metrics.pool.claim("julia", ClaimResult.HIT)
    metrics.pool.claim_took(0.012)
    metrics.pool.spawned(SpawnKind.WARM, 0.09)
    metrics.pool.refilled(3.2)
    metrics.pool.evicted(Eviction.MEMORY)
    metrics.set_status(dataclasses.replace(samples.degraded(), pools=samples.POOLS))
    return metrics


def of(status: Status) -> dict[str, float]:
    metrics = Metrics()
    metrics.set_status(status)
    return series(metrics)


def test_events_are_counted() -> None:
    found = series(busy())
    assert found['hubagent_reconcile_total{result="ok"}'] == 1
    assert found['hubagent_reconcile_total{result="rolled_back"}'] == 0
    assert found["hubagent_reconcile_duration_seconds_count"] == 1
    assert found["hubagent_reconcile_duration_seconds_sum"] == pytest.approx(0.12)
    assert found['hubagent_reconcile_duration_seconds_bucket{le="0.15"}'] == 1
    assert found["hubagent_reconcile_last_success_timestamp_seconds"] == samples.NOW_S
    assert found['hubagent_step_total{component="nginx",result="ok",verb="reload"}'] == 1
    assert found['hubagent_step_total{component="nginx",result="failed",verb="reload"}'] == 1
    assert found['hubagent_rollbacks_total{component="nginx"}'] == 1
    assert found['hubagent_rollbacks_total{component="hub"}'] == 0
    assert found['hubagent_drift_detected_total{component="hub"}'] == 1
    assert found['hubagent_unit_jobs_total{name="nginx.service",result="done",type="reload"}'] == 1
    assert found["hubagent_watch_errors_total"] == 1
    assert found["hubagent_dbus_reconnects_total"] == 1
    assert found["hubagent_http_connections_dropped_total"] == 1
    assert found['hubagent_pool_claims_total{result="hit",server="julia"}'] == 1
    assert found['hubagent_pool_claims_total{result="miss",server="python"}'] == 0
    assert found['hubagent_pool_claim_duration_seconds_bucket{le="0.015"}'] == 1
    assert found['hubagent_pool_claim_duration_seconds_bucket{le="0.01"}'] == 0
    assert found['hubagent_spawn_duration_seconds_bucket{kind="warm",le="0.1"}'] == 1
    assert found['hubagent_spawn_duration_seconds_count{kind="cold"}'] == 0
    assert found["hubagent_pool_refill_duration_seconds_sum"] == pytest.approx(3.2)
    assert found['hubagent_pool_evictions_total{reason="memory"}'] == 1
    assert found['hubagent_pool_evictions_total{reason="age"}'] == 0


@pytest.mark.parametrize(
    ("result", "succeeds"),
    [
        (Result.NOOP, True),
        (Result.OK, True),
        (Result.FAILED, False),
        (Result.ROLLED_BACK, False),
        (Result.REJECTED, False),
    ],
)
def test_only_success_moves_the_time_of_the_last_success(result: Result, *, succeeds: bool) -> None:
    metrics = Metrics(now=lambda: 5.0)
    metrics.reconcile_finished(result, 0.01)
    assert series(metrics)["hubagent_reconcile_last_success_timestamp_seconds"] == (5.0 if succeeds else 0.0)


def test_the_first_job_and_the_first_step_are_an_increase() -> None:
    """A series that begins with its first event hides it from rate() and increase(): none appears afterwards."""
    world = World()
    before = set(series(world.metrics))
    taken = []
    for edit in ("", "nginx: {max_body: 7m}", "hub: {admins: [ada]}", "servers: {julia: {memory: 1G}}"):
        world.edit(f"{CONFIG}{edit}\n")
        world.reconcile()
        taken += world.steps
    jobs = {name for name, count in series(world.metrics).items() if "unit_jobs_total" in name and count}
    steps = {
        f'hubagent_step_total{{component="{component.value}",result="ok",verb="{verb}"}}'
        for component, verb, _ in taken
    }
    assert len(jobs) > 5
    assert len(steps) > 5
    assert jobs | steps <= before


def test_instances_of_a_template_are_one_series() -> None:
    metrics = Metrics()
    for generation in range(50):
        metrics.unit_job(f"hubagent-nginx-test@{generation}.service", UnitVerb.START, JobResult.DONE)
    jobs = [name for name, count in series(metrics).items() if "unit_jobs_total" in name and count]
    assert jobs == [
        'hubagent_unit_jobs_total{name="hubagent-nginx-test@.service",result="done",type="start"}'
    ]
    assert template_name("nginx.service") == "nginx.service"


def test_state_of_a_healthy_machine() -> None:
    found = of(samples.healthy())
    assert found["hubagent_config_last_reload_successful"] == 1
    assert found["hubagent_config_last_reload_success_timestamp_seconds"] == samples.NOW_S - 3600
    assert found["hubagent_config_generation"] == found["hubagent_config_applied_generation"] == 42
    assert found["hubagent_last_look_timestamp_seconds"] == samples.NOW_S - 8
    assert found['hubagent_unit_state{name="nginx.service",state="active"}'] == 1
    assert found['hubagent_unit_state{name="nginx.service",state="failed"}'] == 0
    assert found['hubagent_component_healthy{component="docker"}'] == 1
    assert found["hubagent_hub_up"] == found["hubagent_dbus_up"] == found["hubagent_docker_up"] == 1
    assert found["hubagent_certificate_expiry_timestamp_seconds"] == samples.NOW_S + 61 * samples.DAY_S
    assert found["hubagent_certificate_self_signed"] == 0
    assert found["hubagent_disk_free_bytes"] == 212 * 1024**3
    assert found['hubagent_servers{server="julia"}'] == 28
    assert found['hubagent_servers_stale{server="julia"}'] == 3
    assert found['hubagent_pool_slots{server="julia",state="ready"}'] == 3
    assert found['hubagent_pool_slots{server="julia",state="claimed"}'] == 12
    assert found['hubagent_pool_slots{server="python",state="warming"}'] == 0
    assert found['hubagent_pool_slots_desired{server="julia"}'] == 4
    assert found['hubagent_pool_memory_bytes{server="python"}'] == 180 * 1024**2
    assert found['hubagent_pool_backing_off{server="julia"}'] == 0
    assert found["hubagent_hub_spawn_duration_seconds_count"] == 36
    assert found["hubagent_hub_spawn_duration_seconds_sum"] == pytest.approx(88.2)
    assert found["hubagent_hub_spawn_failures_total"] == 1
    assert found["hubagent_proxy_routes"] == 29
    assert found["hubagent_nginx_old_workers"] == 1
    assert found['hubagent_pending_restart{component="proxy"}'] == 0
    assert found['hubagent_problems{reason="verify"}'] == 0
    assert not [name for name in found if name.startswith("hubagent_degraded")]


def test_state_of_a_degraded_machine() -> None:
    found = of(samples.degraded())
    assert found["hubagent_config_last_reload_successful"] == 0
    assert found["hubagent_config_generation"] == 43
    assert found["hubagent_config_applied_generation"] == 42
    assert found['hubagent_degraded{component="nginx",reason="verify"}'] == 1
    assert found['hubagent_problems{reason="unit"}'] == 1
    assert found['hubagent_pool_backing_off{server="julia"}'] == 1
    assert 'hubagent_pool_memory_bytes{server="julia"}' not in found
    assert found['hubagent_unit_state{name="jupyterhub.service",state="failed"}'] == 1
    assert found['hubagent_unit_restarts{name="jupyterhub.service"}'] == 3
    assert found["hubagent_hub_up"] == found["hubagent_docker_up"] == 0
    assert found['hubagent_pending_restart{component="proxy"}'] == 1
    assert found["hubagent_pending_changes"] == 1
    assert found["hubagent_last_failure_timestamp_seconds"] == samples.NOW_S - 95


def test_a_problem_of_no_component_is_the_agents() -> None:
    assert of(samples.refused())['hubagent_degraded{component="agent",reason="config"}'] == 1


@pytest.mark.parametrize(
    ("change", "in_force"),
    [
        ({}, True),
        ({"config_errors": ("no",)}, False),
        ({"quarantined_sha256": "ab" * 32}, False),  # these very bytes
        ({"quarantined_sha256": "ef" * 32}, True),  # others, long corrected
        ({"problems": (Problem(None, Reason.PREFLIGHT, "no"),)}, False),
        ({"problems": (Problem(None, Reason.DOCKER, "no"),)}, True),
    ],
)
def test_whether_the_edit_is_in_force(change: dict[str, object], *, in_force: bool) -> None:
    status = dataclasses.replace(samples.healthy(), **change)  # type: ignore[arg-type]
    assert of(status)["hubagent_config_last_reload_successful"] == in_force


def test_what_is_not_known_has_no_sample() -> None:
    status = dataclasses.replace(
        samples.healthy(),
        figures=Figures(),
        certificate=None,
        disk_free_bytes=None,
        generation=None,
        servers=(),
    )
    found = of(status)
    for name in (
        "hubagent_hub_users", "hubagent_proxy_routes", "hubagent_certificate_expiry_timestamp_seconds",
        "hubagent_disk_free_bytes", "hubagent_config_generation", "hubagent_hub_spawn_duration_seconds_count",
        "hubagent_hub_spawn_failures_total",
    ):  # fmt: skip
        assert name not in found


@pytest.mark.parametrize("state", ["reloading", "active"])
def test_a_reloading_unit_serves(state: str) -> None:
    component = dataclasses.replace(samples.components()[0], state=state)
    found = of(dataclasses.replace(samples.healthy(), components=(component,)))
    assert found['hubagent_unit_state{name="nginx.service",state="active"}'] == 1
    assert sum(value for name, value in found.items() if name.startswith("hubagent_unit_state")) == 1


@given(st.text(min_size=12), st.text(min_size=12))
def test_no_text_of_people_or_faults_is_a_label(user: str, message: str) -> None:
    status = dataclasses.replace(
        samples.healthy(),
        servers=(ServerStatus(user, "julia", user, stale=True),),
        problems=(Problem(Component.HUB, Reason.UNIT, message),),
        last_failure=message,
        config_errors=(message,),
        url=message,
    )
    plain = dataclasses.replace(
        status,
        servers=(ServerStatus("u", "julia", "c", stale=True),),
        problems=(Problem(Component.HUB, Reason.UNIT, "m"),),
        last_failure="m",
        config_errors=("m",),
        url="u",
    )

    def own(status: Status) -> list[str]:
        metrics = Metrics()
        metrics.set_status(status)
        return [line for line in metrics.exposition().decode().splitlines() if "hubagent_" in line]

    assert own(status) == own(plain)


def test_names_follow_the_rules_of_prometheus() -> None:
    for family in busy().collect():
        assert family.name.startswith(("hubagent_", "process_"))
        assert re.fullmatch(r"[a-z0-9_]+", family.name)
        assert family.documentation.endswith(".")
        for sample in family.samples:
            assert not sample.name.endswith("_created")
            assert set(sample.labels) <= {
                "version", "python_version", "result", "component", "verb", "reason", "name", "state", "type",
                "server", "path", "code", "kind", "le",
            }  # fmt: skip


def test_promtool_accepts_it() -> None:
    promtool = shutil.which("promtool")
    assert promtool is not None, "install Debian's package prometheus"
    for metrics in (Metrics(), busy()):
        checked = subprocess.run(
            [promtool, "check", "metrics"], input=metrics.exposition(), capture_output=True, check=False
        )
        assert (checked.returncode, checked.stdout, checked.stderr) == (0, b"", b"")


def test_two_of_them_do_not_share_anything() -> None:
    one, other = Metrics(), Metrics()
    one.watch_error()
    assert series(one)["hubagent_watch_errors_total"] == 1
    assert series(other)["hubagent_watch_errors_total"] == 0


def test_counting_from_many_threads_loses_nothing() -> None:
    metrics = Metrics()

    def work() -> None:
        for _ in range(500):
            metrics.watch_error()
            metrics.reconcile_finished(Result.NOOP, 0.001)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        metrics.exposition()
    for thread in threads:
        thread.join()
    found = series(metrics)
    assert found["hubagent_watch_errors_total"] == found['hubagent_reconcile_total{result="noop"}'] == 2000
