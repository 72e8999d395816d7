"""What `hubagent status` and `hubagent plan` print."""

from __future__ import annotations

import dataclasses
import json
import re

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hubagent.cli.status_report import plan_json, plan_text, status_text
from hubagent.cli.terminal import columns, shorten, wrap
from hubagent.config.made.changes import Change
from hubagent.ladder import Level
from hubagent.state import words
from hubagent.state.model import Component, Plan, Step, Verb
from hubagent.state.status import PoolStatus, RenewalStatus, Result, Status
from tests.unit.web import samples

ANSI = re.compile(r"\x1b\[\d+m")
SAMPLES = (samples.healthy(), samples.degraded(), samples.refused())


def printed(status: Status, *, width: int = 100, colour: bool = False) -> str:
    return status_text(status, now_s=samples.NOW_S, width=width, colour=colour)


def test_a_healthy_machine_whole() -> None:
    assert (
        printed(samples.healthy())
        == """\
● serving
  Everything is as the file says.
  https://hub.example.org
  generation 42, checked 8 s ago, hubagent 0.1.0 (pid 812)

   COMPONENT  STATE   RESTARTS  DETAIL
✓  nginx      active  0         nginx.service
✓  hub        active  0         jupyterhub.service
✓  proxy      active  0         configurable-http-proxy.service
✓  firewall   active  0         hubagent-firewall.service
✓  docker     up      -         20.10.24, live-restore
✓  metrics    up      -         127.0.0.1:9811

   WARM    READY   IN USE  MEMORY   DETAIL
✓  julia   3 of 4  12      660 MiB  1 warming up
✓  python  1 of 1  0       180 MiB

servers      28 running, 3 started before the last change to `servers` (new at their next start)
users        183, 64 of them in 24 h
starts       36 in 2.45 s each, 1 failed
certificate  valid for 61 days (hub.example.org)
disk         212 GiB free
"""
    )


@pytest.mark.parametrize(
    ("renewal", "words"),
    [
        (RenewalStatus("Let's Encrypt", ("a",), is_trying=True), "asking Let's Encrypt now"),
        (RenewalStatus("Let's Encrypt", ("a",), next_try_s=samples.NOW_S + 60), "next try in 60 s"),
        (
            RenewalStatus(
                "Let's Encrypt", ("a",), samples.NOW_S - 7200, "", samples.NOW_S + 31 * samples.DAY_S
            ),
            "Let's Encrypt gave it 2 h ago, renewed in 31 days",
        ),
        (
            RenewalStatus("Let's Encrypt", ("a",), samples.NOW_S - 7200, "why", samples.NOW_S + 900),
            "Let's Encrypt failed 2 h ago, next try in 15 min",
        ),
    ],
)
def test_what_is_done_to_get_a_certificate_is_said(renewal: RenewalStatus, words: str) -> None:
    status = samples.healthy()
    assert status.certificate is not None
    certificate = dataclasses.replace(status.certificate, renewal=renewal)
    text = " ".join(printed(dataclasses.replace(status, certificate=certificate)).split())
    assert f"valid for 61 days; {words} (hub.example.org)" in text


def test_a_degraded_machine_says_what_why_and_what_to_do() -> None:
    text = " ".join(printed(samples.degraded()).split())
    for phrase in (
        "● degraded The last edit was rolled back",
        "✗ hub failed 3 exited with code 1",
        "nginx (verify): generation 43 did not answer",
        "then save the file again",
        "proxy.error_target: http://172.18.0.1:8081/hub/error → http://10.0.0.1/error",
        "hubagent apply --allow-disruption",
        "Last failure, 95 s ago nginx: [emerg] bind()",
        "valid for 5 days, self-signed",
        "✗ julia 0 of 4 12 - 1 being removed, no slot became ready: gave up",
        "✓ python 0 of 2 0 - waiting: users' servers are starting, or memory is short",
    ):
        assert phrase in text


def test_a_refused_file_is_told_once() -> None:
    text = printed(samples.refused())
    assert "did you mean `admins`?" in text
    assert "the file was refused; the one before" not in text


@pytest.mark.parametrize("status", SAMPLES)
@pytest.mark.parametrize("width", [40, 60, 80, 120, 200])
def test_no_line_is_wider_than_the_terminal(status: Status, width: int) -> None:
    for line in printed(status, width=width).splitlines():
        # what cannot be broken (an address, a command) stands alone on its line, to be copied whole
        assert columns(line) <= width or len(line.split()) <= 2


@pytest.mark.parametrize("status", SAMPLES)
def test_colour_adds_nothing_but_colour(status: Status) -> None:
    plain, coloured = printed(status), printed(status, colour=True)
    assert "\x1b" not in plain
    assert "\x1b" in coloured
    assert ANSI.sub("", coloured) == plain


@settings(max_examples=50, suppress_health_check=[HealthCheck.too_slow])  # a Status is large
@given(st.from_type(Status), st.integers(0, 200))
def test_any_status_prints_without_steering_the_terminal(status: Status, width: int) -> None:
    text = printed(status, width=width)
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]", text)


def test_a_name_cannot_clear_the_screen() -> None:
    status = dataclasses.replace(samples.healthy(), url="\x1b[2J\x1b]0;title\x07")
    assert "\x1b" not in printed(status)


def test_starting() -> None:
    text = printed(Status("0.1.0", 1, 0, samples.NOW_S, Result.FAILED))
    assert text.startswith("● starting\n  No generation is in force yet.\n")


def test_a_plan_whole() -> None:
    assert (
        plan_text(samples.plan(), False)
        == """\
Generation 44: 2 steps, 1 step waiting for your permission.
Users notice (level 3, hub restart): logins and starts pause for seconds; notebooks and their websockets stay.

Changed keys:
  nginx.max_body: 100m → 200m
  hub.admins: [admin] → [admin, kim]

Steps:
  1. nginx reload  nginx.max_body changed
  2. hub restart   hub.admins changed

Waiting for your permission:
  1. proxy restart  its port changed
Users would notice (level 4, proxy restart): every websocket drops for a moment and comes back.
To apply this now: hubagent apply --allow-disruption. Or set apply.disruptive: window, and it is \
applied in apply.window.
"""
    )


def test_a_plan_says_what_becomes_of_the_accounts_when_the_database_changes() -> None:
    change = Change("hub.database", "sqlite", "postgresql://hub@db/hub")
    plan = dataclasses.replace(samples.plan(), changes=(*samples.plan().changes, change))
    said = "gets all of the hub's data (accounts, passwords, tokens, groups, running servers), copied from sqlite"
    assert f"\nhub.database: {change.new} {said}" in plan_text(plan, False)
    assert said in plan_json(plan)["notes"]["hub.database"]
    assert plan_json(samples.plan())["notes"] == {}


def test_an_empty_plan() -> None:
    assert plan_text(Plan(None, ()), False) == "Nothing to do: everything is as the file says.\n"


def test_a_plan_with_nothing_but_pending_steps_is_not_nothing_to_do() -> None:
    text = plan_text(dataclasses.replace(samples.plan(), generation=None, steps=(), changes=()), False)
    assert text.startswith("The files stay as they are: 0 steps, 1 step waiting for your permission.\n")
    assert "--allow-disruption" in text


def test_every_level_says_what_users_notice() -> None:
    for level in Level:
        plan = Plan(1, (Step(Component.NGINX, Verb.RELOAD, level, "x"),))
        assert f"Users notice (level {level.value}, {level.title}): {level.notice}." in plan_text(plan, False)


def test_plan_colours_add_nothing_but_colour() -> None:
    assert ANSI.sub("", plan_text(samples.plan(), True)) == plan_text(samples.plan(), False)


def test_plan_values_do_not_steer_the_terminal() -> None:
    plan = dataclasses.replace(samples.plan(), changes=(Change("a", "\x1b[31m\n", "\r\x07"),))
    assert not re.search("[\x00-\x09\x0b-\x1f\x7f]", plan_text(plan, False))


def test_plan_json() -> None:
    document = plan_json(samples.plan())
    assert json.loads(json.dumps(document)) == document
    assert (document["format"], document["empty"], document["generation"], document["level"]) == (
        1,
        False,
        44,
        3,
    )
    assert document["changes"][0] == {"key": "nginx.max_body", "old": "100m", "new": "200m"}
    assert document["steps"][1] == {
        "component": "hub",
        "verb": "restart",
        "level": 3,
        "notice": "logins and starts pause for seconds; notebooks and their websockets stay",
        "reason": "hub.admins changed",
    }
    assert [step["component"] for step in document["pending"]] == ["proxy"]


@given(st.text(), st.integers(0, 50))
def test_shortened_text_fits(text: str, width: int) -> None:
    assert columns(shorten(text, width)) <= width


@given(st.text(alphabet="ab \n日"), st.integers(1, 30))
def test_wrapped_text_fits_and_loses_nothing(text: str, width: int) -> None:
    lines = wrap(text, width, indent="  ")
    assert " ".join(lines).split() == text.split()
    assert all(columns(line) <= width or len(line.split()) == 1 for line in lines if line.strip())


def test_a_pool_whose_claims_fail_is_not_ready() -> None:
    failing = PoolStatus(
        "julia", 2, ready=2, claims_fail="where homes are", claims_fail_since_s=samples.NOW_S - 300
    )
    assert failing.is_in_trouble
    assert words.pool_detail(failing, samples.NOW_S) == "users get none (since 5 min ago): where homes are"


def test_a_pool_says_why_no_slot_gets_ready_and_when_it_tries_again() -> None:
    pool = PoolStatus(
        "julia",
        2,
        last_failure="gave up after 300 s of processor time in warming kernel julia",
        backing_off_until_s=samples.NOW_S + 240,
    )
    assert words.pool_detail(pool, samples.NOW_S) == (
        "no slot became ready: gave up after 300 s of processor time in warming kernel julia; next try in 4 min"
    )
    lacking = PoolStatus("julia", 1, ready=1, lacks="no kernel 'cobol': the image has python3")
    assert words.pool_detail(lacking, samples.NOW_S) == (
        "not everything is warm: no kernel 'cobol': the image has python3"
    )
