"""UnitManager: the fake and the real systemd give the same answers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hubagent.adapters.systemd.manager import SystemdUnitManager
from hubagent.errors import JobDeadlineError, UnitError
from hubagent.ports import ActiveState, JobResult, LoadState, UnitManager, UnitState, UnitVerb
from tests.contract.small_systemd import SmallSystemd
from tests.contract.units_for_tests import UNITS
from tests.fakes import FakeUnitManager
from tests.waiting import wait_until


def _fake() -> FakeUnitManager:
    without_reload = ["without-reload.service", "bad-start.service", "slow-start.service"]
    manager = FakeUnitManager(dict.fromkeys(UNITS, ActiveState.INACTIVE), without_reload=without_reload)
    manager.mask("masked.service")
    manager.fail(UnitVerb.RELOAD, "bad-reload.service", times=9)
    manager.fail(UnitVerb.START, "bad-start.service", times=9)
    manager.fail(UnitVerb.START, "needs-bad.service", JobResult.DEPENDENCY, times=9)
    manager.fail(UnitVerb.START, "killed-start.service", ended="signal", times=9)
    manager.fail(UnitVerb.START, "late-start.service", ended="timeout", times=9)
    manager.delay(UnitVerb.START, "slow-start.service", 3.0, times=9)
    manager.hang(UnitVerb.START, "endless-start.service", times=9)
    return manager


@pytest.fixture(params=["fake", "real"])
def manager(request: pytest.FixtureRequest, systemd: SmallSystemd) -> Iterator[UnitManager]:
    if request.param == "fake":
        yield _fake()
        return
    systemd.systemctl("stop", *[name for name in UNITS if name != "masked.service"])
    systemd.systemctl("reset-failed")
    real = SystemdUnitManager(address=systemd.address)
    yield real
    real.close()


def test_a_started_unit_is_active_with_a_process(manager: UnitManager) -> None:
    assert manager.run(UnitVerb.START, "steady.service", timeout_s=10) is JobResult.DONE
    state = manager.unit("steady.service")
    assert (state.name, state.load, state.active, state.sub) == (
        "steady.service",
        LoadState.LOADED,
        ActiveState.ACTIVE,
        "running",
    )
    assert state.main_pid > 0
    assert state.active_since_s > 0
    assert (state.restarts, state.result) == (0, "success")


def test_starting_twice_keeps_the_process(manager: UnitManager) -> None:
    first = _started(manager, "steady.service")
    assert manager.run(UnitVerb.START, "steady.service", timeout_s=10) is JobResult.DONE
    assert manager.unit("steady.service") == first


def test_a_restart_gives_another_process(manager: UnitManager) -> None:
    first = _started(manager, "steady.service")
    assert manager.run(UnitVerb.RESTART, "steady.service", timeout_s=10) is JobResult.DONE
    second = manager.unit("steady.service")
    assert second.active is ActiveState.ACTIVE
    assert second.main_pid != first.main_pid


def test_a_reload_keeps_the_process(manager: UnitManager) -> None:
    first = _started(manager, "steady.service")
    assert manager.run(UnitVerb.RELOAD, "steady.service", timeout_s=10) is JobResult.DONE
    assert manager.unit("steady.service").main_pid == first.main_pid


def test_a_stopped_unit_is_inactive(manager: UnitManager) -> None:
    _started(manager, "steady.service")
    assert manager.run(UnitVerb.STOP, "steady.service", timeout_s=10) is JobResult.DONE
    state = manager.unit("steady.service")
    assert (state.active, state.sub, state.main_pid) == (ActiveState.INACTIVE, "dead", 0)


def test_a_killed_unit_shows_so_until_it_is_started_again(
    manager: UnitManager, systemd: SmallSystemd
) -> None:
    first = _started(manager, "restarts.service")
    if isinstance(manager, FakeUnitManager):
        manager.kill("restarts.service")
    else:
        systemd.systemctl("kill", "--signal=KILL", "restarts.service")
        wait_until(lambda: manager.unit("restarts.service").main_pid == 0, timeout_s=5.0)
    killed = manager.unit("restarts.service")
    assert (killed.active, killed.sub, killed.result) == (ActiveState.ACTIVATING, "auto-restart", "signal")
    assert killed.restarts == first.restarts
    if isinstance(manager, FakeUnitManager):
        manager.restart_by_itself("restarts.service")
    wait_until(lambda: manager.unit("restarts.service").active is ActiveState.ACTIVE, timeout_s=5.0)
    again = manager.unit("restarts.service")
    assert (again.restarts, again.result) == (first.restarts + 1, "success")
    assert again.main_pid not in (0, first.main_pid)


def test_a_failed_reload_shows_in_the_result_alone(manager: UnitManager) -> None:
    first = _started(manager, "bad-reload.service")
    assert manager.run(UnitVerb.RELOAD, "bad-reload.service", timeout_s=10) is JobResult.FAILED
    state = manager.unit("bad-reload.service")
    assert (state.active, state.result, state.main_pid) == (ActiveState.ACTIVE, "success", first.main_pid)


def test_a_failed_start_leaves_a_failed_unit_until_it_is_reset(manager: UnitManager) -> None:
    assert manager.run(UnitVerb.START, "bad-start.service", timeout_s=10) is JobResult.FAILED
    state = manager.unit("bad-start.service")
    assert (state.active, state.sub, state.result) == (ActiveState.FAILED, "failed", "exit-code")
    manager.reset_failed("bad-start.service")
    state = manager.unit("bad-start.service")
    assert (state.active, state.result, state.restarts) == (ActiveState.INACTIVE, "success", 0)


@pytest.mark.parametrize(
    ("name", "ended"), [("killed-start.service", "signal"), ("late-start.service", "timeout")]
)
def test_how_a_start_ended_can_be_asked_until_it_is_reset(
    manager: UnitManager, name: str, ended: str
) -> None:
    assert manager.run(UnitVerb.START, name, timeout_s=30) is JobResult.FAILED
    assert manager.unit(name).result == ended
    manager.reset_failed(name)
    assert manager.unit(name).active is ActiveState.INACTIVE


def test_a_failed_requirement_is_told_apart(manager: UnitManager) -> None:
    assert manager.run(UnitVerb.START, "needs-bad.service", timeout_s=10) is JobResult.DEPENDENCY


def test_a_unit_without_the_verb_is_refused_and_left_alone(manager: UnitManager) -> None:
    first = _started(manager, "without-reload.service")
    with pytest.raises(UnitError, match=r"cannot reload without-reload\.service"):
        manager.run(UnitVerb.RELOAD, "without-reload.service", timeout_s=10)
    assert manager.unit("without-reload.service") == first


@pytest.mark.parametrize("verb", list(UnitVerb))
def test_a_missing_unit_is_refused_by_name(manager: UnitManager, verb: UnitVerb) -> None:
    with pytest.raises(UnitError, match=r"absent\.service not (found|loaded)"):
        manager.run(verb, "absent.service", timeout_s=10)


def test_a_missing_unit_can_be_looked_at(manager: UnitManager) -> None:
    state = manager.unit("absent.service")
    assert (state.load, state.active) == (LoadState.NOT_FOUND, ActiveState.INACTIVE)


def test_a_masked_unit_is_seen_and_refused(manager: UnitManager) -> None:
    state = manager.unit("masked.service")
    assert state.load is LoadState.MASKED
    with pytest.raises(UnitError, match="masked"):
        manager.run(UnitVerb.START, "masked.service", timeout_s=10)


def test_a_passed_deadline_is_an_error(manager: UnitManager) -> None:
    with pytest.raises(JobDeadlineError, match=r"start of slow-start\.service: not finished within 0\.3 s"):
        manager.run(UnitVerb.START, "slow-start.service", timeout_s=0.3)


def _started(manager: UnitManager, name: str) -> UnitState:
    assert manager.run(UnitVerb.START, name, timeout_s=10) is JobResult.DONE
    return manager.unit(name)


def test_a_start_given_up_on_goes_on_until_it_is_ended_and_has_failed_then(manager: UnitManager) -> None:
    """As the test of a configuration that takes too long is."""
    with pytest.raises(JobDeadlineError):
        manager.run(UnitVerb.START, "endless-start.service", timeout_s=1.5)
    assert manager.unit("endless-start.service").active is ActiveState.ACTIVATING
    assert manager.run(UnitVerb.STOP, "endless-start.service", timeout_s=30) is JobResult.DONE
    ended = manager.unit("endless-start.service")
    assert (ended.active, ended.result) == (ActiveState.FAILED, "signal"), "until it is reset"
    manager.reset_failed("endless-start.service")
    assert manager.unit("endless-start.service").active is ActiveState.INACTIVE
