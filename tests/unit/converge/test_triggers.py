"""Many hints become one check, and none is lost."""

from __future__ import annotations

from hubagent.converge.triggers import Trigger, Triggers
from tests.fakes.clock import ManualClock


def test_a_file_event_is_early_at_once_and_due_after_its_quiet_time() -> None:
    clock = ManualClock()
    triggers = Triggers(clock.monotonic)
    triggers.put(Trigger.FILE)
    assert triggers.take(0) == {Trigger.EARLY}
    assert triggers.take(0) == frozenset()
    clock.advance(0.21)
    assert triggers.take(0) == {Trigger.FILE}
    assert triggers.take(0) == frozenset()


def test_a_chatty_editor_is_heard_in_the_end() -> None:
    clock = ManualClock()
    triggers = Triggers(clock.monotonic)
    for _ in range(30):
        triggers.put(Trigger.FILE)
        clock.advance(0.1)
    assert Trigger.FILE in triggers.take(0)


def test_what_is_pending_is_taken_together() -> None:
    clock = ManualClock()
    triggers = Triggers(clock.monotonic)
    triggers.put(Trigger.UNIT)
    triggers.put(Trigger.SIGNAL)
    assert triggers.take(0) == {Trigger.UNIT, Trigger.SIGNAL}
