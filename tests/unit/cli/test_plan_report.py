"""What `hubagent plan` prints where there is more to say than the plan."""

from __future__ import annotations

from hubagent.cli.plan_report import preview_text
from hubagent.converge.intent import Order
from hubagent.state.status import Problem, Reason
from tests.unit.converge.world import CONFIG, World

ALL_IS_WELL = "everything is as the file says"


def test_a_file_that_cannot_be_planned_is_not_called_done() -> None:
    world = World()
    world.files.remove(world.layout.config)
    prepared = world.reconciler.preview(Order())
    assert prepared.plan.is_empty
    shown = preview_text(prepared.plan, prepared.problems, colour=False)
    assert ALL_IS_WELL not in shown
    assert prepared.problems[0].message in shown


def test_a_plan_stands_before_its_problems() -> None:
    world = World()
    world.reconcile()
    world.edit(CONFIG + "nginx: {max_body: 7M}\n")
    plan = world.reconciler.preview(Order()).plan
    problem = Problem(None, Reason.DOCKER, "the network\x1b[31m is not as it was made")
    shown = preview_text(plan, [problem], colour=False)
    assert shown.index("nginx.max_body") < shown.index("Problem: the network")
    assert "\x1b" not in shown


def test_without_problems_it_is_the_plan_alone() -> None:
    world = World()
    world.reconcile()
    shown = preview_text(world.reconciler.preview(Order()).plan, (), colour=False)
    assert ALL_IS_WELL in shown
