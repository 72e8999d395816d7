"""One number, one verdict: whoever shows it says the same of it, the shipped alert rules too."""

from __future__ import annotations

import dataclasses
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hubagent import limits
from hubagent.cli.status_report import status_text
from hubagent.converge.doctor import examine
from hubagent.layout import AGENT
from hubagent.limits import Ceiling, Floor, Verdict
from hubagent.ports import ActiveState
from hubagent.state.status import Reason, Status
from hubagent.web.page import View, view
from hubagent.web.state_metrics import families
from tests.unit.converge.world import World

ALERTS = Path(__file__).parents[2] / "conf/prometheus/alerts.yml"
EVALUATED_MIN = 90  # longer than any rule's `for`
TONES = {"": Verdict.FINE, "warn": Verdict.WARNING, "bad": Verdict.CRITICAL}

DISK = st.integers(0, 3 * int(limits.DISK_FREE_BYTES.warning))
DAY_S = 86400
LEFT_S = st.integers(-30 * 86400, 60 * 86400)
AGE_S = st.integers(0, 3600)


def _of(status: Status, reason: Reason) -> list[str]:
    return [problem.message for problem in status.problems if problem.reason is reason]


def _tone(page: View, name: str) -> Verdict:
    return TONES[next(tile.tone for tile in page.tiles if tile.name == name)]


def _metric(status: Status, name: str, **labels: str) -> float | None:
    samples = [sample for family in families(status) for sample in family.samples]
    return next((s.value for s in samples if s.name == name and s.labels == labels), None)


@pytest.fixture(scope="module")
def world() -> World:
    world = World()
    world.units.add(AGENT, ActiveState.ACTIVE)
    world.reconcile()
    return world


@settings(deadline=None, max_examples=40)
@given(free=DISK)
def test_free_disk(world: World, free: int) -> None:
    verdict = limits.DISK_FREE_BYTES.verdict(free)
    world.files.free = free
    status = world.survey.status(world.reconcile())
    said = _of(status, Reason.DISK)
    assert len(said) == (verdict > Verdict.FINE)
    assert all(("nearly full" in words) == (verdict is Verdict.CRITICAL) for words in said)
    now_s = world.clock.time()
    assert ("(disk): " in status_text(status, now_s=now_s)) == bool(said)
    assert _tone(view(status, now_s=now_s), "Free disk") is verdict
    findings = {one.check: one.ok for one in examine(world.ports, world.reconciler, status)}
    assert findings["disk"] == (verdict is Verdict.FINE)
    assert ("problem: disk" in findings) == bool(said)
    assert _metric(status, "hubagent_disk_free_bytes") == free
    assert _metric(status, "hubagent_problems", reason="disk") == len(said)


@settings(deadline=None, max_examples=40)
@given(left_s=LEFT_S, lifetime_s=st.sampled_from((365 * DAY_S, 90 * DAY_S, 6 * DAY_S)))
def test_the_end_of_the_certificate(world: World, left_s: int, lifetime_s: int) -> None:
    """Of one that somebody else renews: hubagent's own is replaced long before."""
    verdict = limits.certificate_left_s(lifetime_s).verdict(left_s)
    in_force = world.generations.desired()
    assert in_force is not None
    now_s = world.clock.time()
    ends_s = now_s + left_s
    facts = dataclasses.replace(in_force.certificate, not_before_s=ends_s - lifetime_s, not_after_s=ends_s)
    certificate, said = world.survey.certificate(dataclasses.replace(in_force, certificate=facts), now_s)
    status = dataclasses.replace(
        world.survey.status(world.reconcile()), certificate=certificate, problems=said, disk_free_bytes=None
    )
    assert len(said) == (verdict > Verdict.FINE)
    assert status.degraded == bool(said)
    assert _tone(view(status, now_s=now_s), "Certificate") is verdict
    findings = {one.check: one.ok for one in examine(world.ports, world.reconciler, status)}
    assert ("problem: certificate" in findings) == bool(said)
    assert _metric(status, "hubagent_certificate_expiry_timestamp_seconds") == now_s + left_s
    assert _metric(status, "hubagent_problems", reason="certificate") == len(said)


@settings(deadline=None, max_examples=40)
@given(age_s=AGE_S)
def test_the_age_of_the_last_look(world: World, age_s: int) -> None:
    too_old = bool(limits.LAST_CHECK_AGE_S.verdict(age_s))
    now_s = world.clock.time()
    status = dataclasses.replace(world.survey.status(world.reconcile()), looked_at_s=now_s - age_s)
    text = " ".join(status_text(status, now_s=now_s).split())
    assert ("has not checked" in text) == too_old
    assert ("has not checked" in view(status, now_s=now_s).checked) == too_old
    agent = next(one for one in examine(world.ports, world.reconciler, status) if one.check == "agent")
    assert ("recently" in agent.found) == too_old
    assert _metric(status, "hubagent_last_look_timestamp_seconds") == now_s - age_s


@dataclass(frozen=True)
class Rule:
    """How Prometheus sees a number: `series` is its value, or the time that it is before or after now."""

    limit: Floor | Ceiling
    series: str
    warning: str  # the alert
    critical: str = ""
    counts: int = 0  # 1: the series is a time to come, -1: one that has passed
    beside: str = ""  # another series that the alert looks at
    beside_value: float = 0.0


RULES = (
    Rule(limits.DISK_FREE_BYTES, "hubagent_disk_free_bytes", "HubagentDiskFillsUp", "HubagentDiskFull"),
    Rule(
        limits.CERTIFICATE_LEFT_S,
        "hubagent_certificate_expiry_timestamp_seconds",
        "HubagentCertificateExpires",
        "HubagentCertificateExpiresNow",
        counts=1,
    ),
    Rule(limits.LAST_CHECK_AGE_S, "hubagent_last_look_timestamp_seconds", "HubagentNotLooking", counts=-1),
    Rule(limits.PROXY_MEMORY_BYTES, "hubagent_proxy_resident_memory_bytes", "HubagentProxyGrows"),
    Rule(limits.PROXY_OPEN_FILES, "hubagent_proxy_open_fds", "HubagentProxyGrows"),
    Rule(limits.NGINX_OLD_WORKERS, "hubagent_nginx_old_workers", "HubagentNginxWorkersPileUp"),
    Rule(limits.HUB_EVENT_LOOP_P99_S, "hubagent_hub_event_loop_p99_seconds", "HubOverloaded"),
)


SHORT_LIVED = Rule(
    limits.certificate_left_s(6 * DAY_S),
    "hubagent_certificate_expiry_timestamp_seconds",
    "HubagentCertificateExpires",
    "HubagentCertificateExpiresNow",
    counts=1,
    beside="hubagent_certificate_lifetime_seconds",
    beside_value=6.0 * DAY_S,
)


def test_a_certificate_of_six_days_is_warned_of_after_the_tries_to_renew_it_and_others_at_two_weeks() -> None:
    assert limits.certificate_left_s(6 * DAY_S).warning < 6 * DAY_S / 4
    assert limits.certificate_left_s(90 * DAY_S) == limits.CERTIFICATE_LEFT_S == limits.certificate_left_s(0)


@pytest.mark.parametrize("rule", [*RULES, SHORT_LIVED], ids=lambda rule: rule.series + rule.beside)
@settings(deadline=None, max_examples=2)
@given(shares=st.lists(st.integers(0, 3000), min_size=10, max_size=40))
def test_the_alert_rules(rule: Rule, shares: list[int]) -> None:
    """At the limits, just beside them, and at values of 0 to 3 times as much."""
    edges = {rule.limit.warning, getattr(rule.limit, "critical", rule.limit.warning)}
    step = 1 if rule.limit.warning > 1 else 0.001
    values = [*(edge + near for edge in edges for near in (-step, 0, step))]
    values += [rule.limit.warning * share / 1000 for share in shares]
    values = [round(value, 3 if step < 1 else None) for value in values]
    verdicts = [rule.limit.verdict(value) for value in values]
    _promtool_agrees(rule, values, rule.warning, [verdict > Verdict.FINE for verdict in verdicts])
    if rule.critical:
        _promtool_agrees(rule, values, rule.critical, [verdict is Verdict.CRITICAL for verdict in verdicts])


def _promtool_agrees(rule: Rule, values: Sequence[float], alert: str, fires: Sequence[bool]) -> None:
    clock = "+60" if rule.counts else "+0"
    sign = rule.counts or 1
    test = {
        "interval": "1m",
        "input_series": [
            {
                "series": f'{rule.series}{{instance="{number}"}}',
                "values": f"{sign * value:f}{clock}x{EVALUATED_MIN}",
            }
            for number, value in enumerate(values)
        ]
        + [
            {
                "series": f'{rule.beside}{{instance="{number}"}}',
                "values": f"{rule.beside_value:f}+0x{EVALUATED_MIN}",
            }
            for number in range(len(values) if rule.beside else 0)
        ],
        "promql_expr_test": [
            {
                "expr": f'count by (instance) (ALERTS{{alertname="{alert}", alertstate="firing"}})',
                "eval_time": f"{EVALUATED_MIN}m",
                "exp_samples": [
                    {"labels": f'{{instance="{number}"}}', "value": 1}
                    for number, does in enumerate(fires)
                    if does
                ],
            }
        ],
    }
    program = shutil.which("promtool")
    assert program is not None, "install Debian's package prometheus"
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "test.yml")
        file.write_text(
            json.dumps({"rule_files": [str(ALERTS)], "evaluation_interval": "1m", "tests": [test]})
        )
        done = subprocess.run([program, "test", "rules", file], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_limit_of_the_alert_rules_about_such_a_number_is_tried() -> None:
    floors_and_ceilings = [one for one in vars(limits).values() if isinstance(one, Floor | Ceiling)]
    assert {id(rule.limit) for rule in RULES} == {id(one) for one in floors_and_ceilings}
    assert all(re.search(rf"\b{rule.series}\b", ALERTS.read_text()) for rule in RULES)


def test_what_an_edit_or_an_image_needs_is_never_free_without_a_warning() -> None:
    """Nobody is refused by a disk that everything calls fine."""
    for needed in (limits.EDIT_NEEDS_BYTES, limits.IMAGE_NEEDS_BYTES):
        assert limits.DISK_FREE_BYTES.verdict(needed)
