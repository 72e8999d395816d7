"""The shipped alert rules, scrape example and dashboard: checked by promtool, and against the metrics there are."""

from __future__ import annotations

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from hubagent.web import image_metrics

from . import samples
from .test_metrics import busy

CONF = Path(__file__).parents[3] / "conf"
ALERTS = CONF / "prometheus/alerts.yml"
TESTS = CONF / "prometheus/alerts_test.yml"
DASHBOARD = CONF / "grafana/hubagent.json"
NAME = re.compile(r"\b(?:hubagent|process)_[a-z0-9_]+\b")


def promtool(*arguments: str | Path) -> str:
    """Run it; its complaints on failure."""
    program = shutil.which("promtool")
    assert program is not None, "install Debian's package prometheus"
    done = subprocess.run([program, *arguments], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def existing() -> set[str]:
    """Names of all samples that the agent can serve."""
    return {sample.name for family in busy().collect() for sample in family.samples}


def rules() -> list[dict[str, Any]]:
    document = yaml.safe_load(ALERTS.read_text())
    return [rule for group in document["groups"] for rule in group["rules"]]


def panels() -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(DASHBOARD.read_text())["panels"]
    return found


def dashboard_expressions() -> list[str]:
    document = json.loads(DASHBOARD.read_text())
    expressions = [target["expr"] for panel in panels() for target in panel.get("targets", ())]
    return expressions + [annotation["expr"] for annotation in document["annotations"]["list"]]


def test_promtool_accepts_the_rules() -> None:
    assert "SUCCESS" in promtool("check", "rules", ALERTS)


def test_the_rules_fire_when_they_should_and_not_otherwise() -> None:
    assert "SUCCESS" in promtool("test", "rules", TESTS)


def test_every_alert_has_a_test_that_sees_it_fire() -> None:
    document = yaml.safe_load(TESTS.read_text())
    fired = {
        re.search(r'alertname="(\w+)"', sample["labels"])[1]  # type: ignore[index]
        for test in document["tests"]
        for case in test["promql_expr_test"]
        for sample in case["exp_samples"]
        if "alertname" in sample["labels"]
    }
    assert fired == {rule["alert"] for rule in rules()}


def test_alerts_say_what_and_what_to_do() -> None:
    for rule in rules():
        assert rule["labels"]["severity"] in ("critical", "warning", "info")
        assert set(rule["annotations"]) == {"summary", "description"}


def test_alerts_use_metrics_that_exist(existing: set[str]) -> None:
    used = {name for rule in rules() for name in NAME.findall(rule["expr"])}
    of_images = {
        sample.name for family in image_metrics.families(samples.IMAGES) for sample in family.samples
    }
    assert used - existing - of_images == set()
    assert len(used) > 20


def test_the_scrape_example_is_a_configuration(tmp_path: Path) -> None:
    example = (CONF / "prometheus/prometheus.yml").read_text()
    copy = tmp_path / "prometheus.yml"
    copy.write_text(re.sub(r"- /usr/share/hubagent/prometheus/alerts.yml", f"- {ALERTS}", example))
    promtool("check", "config", copy)
    assert str(ALERTS) in copy.read_text()
    assert "127.0.0.1:9811" in example


def test_the_dashboard_uses_metrics_that_exist(existing: set[str]) -> None:
    used = {name for expression in dashboard_expressions() for name in NAME.findall(expression)}
    assert used - existing == set()


def test_the_dashboard_shows_almost_every_metric(existing: set[str]) -> None:
    """A metric that nobody looks at is either worth a panel or not worth having; these are for alerts and facts."""
    elsewhere = re.compile(
        "process_|hubagent_(build_info|dbus_|docker_up|watch_errors|degraded|pending_restart|unit_restarts"
        "|config_(generation|last_reload_success_timestamp)|certificate_(self_signed|lifetime|last_try|next_try)|last_failure"
        "|homes_waiting|reconcile_last_success|(reconcile|spawn|pool_(claim|refill))_duration_seconds_(sum|count))"
    )
    shown = {name for expression in dashboard_expressions() for name in NAME.findall(expression)}
    assert {name for name in existing - shown if not elsewhere.match(name)} == set()


def test_promtool_parses_every_expression_of_the_dashboard(tmp_path: Path) -> None:
    expressions = [
        expression.replace("$__rate_interval", "5m").replace("$__interval", "1m").replace("$instance", ".*")
        for expression in dashboard_expressions()
    ]
    assert not any("$" in expression for expression in expressions)
    recorded = [{"record": f"panel:{n}", "expr": expression} for n, expression in enumerate(expressions)]
    file = tmp_path / "dashboard.yml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": recorded}]}))
    assert f"{len(expressions)} rules found" in promtool("check", "rules", file)


def test_the_panels_have_ids_words_and_places_of_their_own() -> None:
    shown = panels()
    assert len({panel["id"] for panel in shown}) == len(shown)
    for panel in shown:
        place = panel["gridPos"]
        assert place["x"] + place["w"] <= 24
        if panel["type"] != "row":
            assert panel["title"]
            assert panel["description"]
            assert panel["datasource"]["uid"] == "${datasource}"
    for one, other in itertools.combinations((panel["gridPos"] for panel in shown), 2):
        apart = (
            one["x"] + one["w"] <= other["x"]
            or other["x"] + other["w"] <= one["x"]
            or one["y"] + one["h"] <= other["y"]
            or other["y"] + other["h"] <= one["y"]
        )
        assert apart, (one, other)
