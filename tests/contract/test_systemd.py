"""The systemd adapter where only a real bus shows anything: merged jobs, a dying bus, hints."""

from __future__ import annotations

import gc
import os
import signal
import threading
import time
import weakref
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from hubagent.adapters.systemd import objects as objects
from hubagent.adapters.systemd.bus import BusConnection
from hubagent.adapters.systemd.manager import SystemdUnitManager
from hubagent.errors import UnitError
from hubagent.ports import ActiveState, JobResult, UnitVerb
from tests.contract.small_systemd import SmallSystemd
from tests.contract.units_for_tests import UNITS
from tests.waiting import wait_until


class Hints:
    """Counts the calls of on_change."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.count = 0

    def __call__(self) -> None:
        with self._lock:
            self.count += 1


@pytest.fixture
def hints() -> Hints:
    return Hints()


@pytest.fixture
def manager(systemd: SmallSystemd, hints: Hints) -> Iterator[SystemdUnitManager]:
    systemd.start_bus()
    systemd.systemctl("stop", *[name for name in UNITS if name != "masked.service"])
    systemd.systemctl("reset-failed")
    real = SystemdUnitManager(address=systemd.address, watched=["steady.service"], on_change=hints)
    yield real
    real.close()


def test_two_reloads_at_once_share_a_job_and_both_hear_of_it(manager: SystemdUnitManager) -> None:
    manager.run(UnitVerb.START, "slow-reload.service", timeout_s=10)
    begin = time.monotonic()
    with ThreadPoolExecutor(2) as pool:
        reloads = [
            pool.submit(manager.run, UnitVerb.RELOAD, "slow-reload.service", timeout_s=10) for _ in range(2)
        ]
        assert [reload.result() for reload in reloads] == [JobResult.DONE, JobResult.DONE]
    assert time.monotonic() - begin < 4.0


def test_a_hundred_verbs_in_a_row_all_get_their_own_result(manager: SystemdUnitManager) -> None:
    manager.run(UnitVerb.START, "steady.service", timeout_s=10)
    manager.run(UnitVerb.START, "bad-reload.service", timeout_s=10)
    results = [
        manager.run(UnitVerb.RELOAD, name, timeout_s=10)
        for name in ("steady.service", "bad-reload.service") * 50
    ]
    assert results == [JobResult.DONE, JobResult.FAILED] * 50


def test_another_job_cancels_ours_and_we_hear_of_it(
    manager: SystemdUnitManager, systemd: SmallSystemd
) -> None:
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(manager.run, UnitVerb.START, "slow-start.service", timeout_s=10)
        wait_until(lambda: manager.unit("slow-start.service").active is ActiveState.ACTIVATING, timeout_s=5.0)
        systemd.systemctl("stop", "slow-start.service")
        assert start.result() is JobResult.CANCELED


def test_a_job_given_up_on_is_off_the_queue(manager: SystemdUnitManager, systemd: SmallSystemd) -> None:
    with pytest.raises(UnitError, match="removed from systemd's queue"):
        manager.run(UnitVerb.START, "slow-start.service", timeout_s=0.2)
    assert "slow-start.service" not in systemd.systemctl("list-jobs")


def test_a_restart_by_another_hand_shows_at_once(manager: SystemdUnitManager, systemd: SmallSystemd) -> None:
    manager.run(UnitVerb.START, "steady.service", timeout_s=10)
    # Remembered from one look to the next, as soon as the signals of the start have passed by.
    wait_until(lambda: manager.unit("steady.service") is manager.unit("steady.service"), timeout_s=5.0)
    before = manager.unit("steady.service")
    systemd.systemctl("restart", "steady.service")
    assert manager.unit("steady.service").main_pid != before.main_pid


def test_an_edited_unit_file_counts_after_a_daemon_reload(
    manager: SystemdUnitManager, systemd: SmallSystemd
) -> None:
    text = UNITS["without-reload.service"]
    systemd.write_unit("without-reload.service", text + "ExecReload=/bin/true\n")
    systemd.systemctl("daemon-reload")
    manager.run(UnitVerb.START, "without-reload.service", timeout_s=10)
    assert manager.run(UnitVerb.RELOAD, "without-reload.service", timeout_s=10) is JobResult.DONE
    systemd.write_unit("without-reload.service", text)
    systemd.systemctl("daemon-reload")


def test_a_killed_bus_is_only_a_pause(manager: SystemdUnitManager, systemd: SmallSystemd) -> None:
    manager.run(UnitVerb.START, "steady.service", timeout_s=10)
    for _ in range(3):
        systemd.kill_bus()
        wait_until(lambda: _reload_result(manager) is JobResult.DONE, timeout_s=20.0)


def test_a_lost_bus_leaves_no_descriptor(manager: SystemdUnitManager, systemd: SmallSystemd) -> None:
    """Not even until the next garbage collection by itself."""

    def lose_it() -> int:
        systemd.systemctl(
            "reset-failed", "dbus.service", "dbus.socket"
        )  # and how often they were started lately
        systemd.kill_bus()
        wait_until(lambda: _reload_result(manager) is JobResult.DONE, timeout_s=20.0)
        return len(os.listdir("/proc/self/fd"))

    manager.run(UnitVerb.START, "steady.service", timeout_s=10)
    gc.disable()
    try:
        counts = [lose_it() for _ in range(4)]
        # The first one is still settling; the last connection may be going in this moment.
        wait_until(lambda: len(os.listdir("/proc/self/fd")) <= counts[1], lambda: str(counts), timeout_s=5.0)
    finally:
        gc.enable()


def test_a_caller_that_lets_go_after_the_loss_leaves_nothing_either(systemd: SmallSystemd) -> None:
    """A call may end after the lost connection was put away."""
    systemd.start_bus()
    connection = BusConnection(systemd.address, on_up=lambda _bus: None, on_down=lambda: None)
    gc.disable()
    try:
        held = [connection.bus()]
        gone = weakref.ref(held[0])
        held += [objects.manager(gone()), objects.properties(gone(), objects.unit_path("steady.service"))]
        systemd.kill_bus()
        wait_until(lambda: _bus_or_none(connection) not in (None, gone()), timeout_s=20.0)
        held.clear()
        assert gone() is None
    finally:
        gc.enable()
        connection.close()


def test_a_bus_that_is_away_is_said_in_words_and_found_again(
    manager: SystemdUnitManager, systemd: SmallSystemd
) -> None:
    manager.run(UnitVerb.START, "steady.service", timeout_s=10)
    systemd.stop_bus()
    with pytest.raises(UnitError, match=r"no connection to the system bus .*systemctl status dbus"):
        wait_until(lambda: manager.unit("steady.service") is None, timeout_s=10.0)
    systemd.start_bus()
    wait_until(lambda: _reload_result(manager) is JobResult.DONE, timeout_s=40.0)


def test_a_job_that_outlives_the_bus_is_still_judged(
    manager: SystemdUnitManager, systemd: SmallSystemd
) -> None:
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(manager.run, UnitVerb.START, "slow-start.service", timeout_s=20)
        wait_until(lambda: manager.unit("slow-start.service").active is ActiveState.ACTIVATING, timeout_s=5.0)
        systemd.kill_bus()
        assert start.result() is JobResult.DONE


def test_a_job_that_ends_while_the_bus_is_away_is_lost_not_assumed(
    manager: SystemdUnitManager, systemd: SmallSystemd
) -> None:
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(manager.run, UnitVerb.START, "slow-start.service", timeout_s=30)
        wait_until(lambda: manager.unit("slow-start.service").active is ActiveState.ACTIVATING, timeout_s=5.0)
        systemd.stop_bus()
        wait_until(lambda: _is_active(systemd, "slow-start.service"), timeout_s=10.0)
        systemd.start_bus()
        assert start.result() is JobResult.LOST
    wait_until(lambda: manager.unit("slow-start.service").active is ActiveState.ACTIVE, timeout_s=10.0)


def test_a_bus_that_stays_away_ends_at_the_deadline(
    manager: SystemdUnitManager, systemd: SmallSystemd
) -> None:
    with ThreadPoolExecutor(1) as pool:
        start = pool.submit(manager.run, UnitVerb.START, "slow-start.service", timeout_s=4)
        wait_until(lambda: manager.unit("slow-start.service").active is ActiveState.ACTIVATING, timeout_s=5.0)
        systemd.stop_bus()
        begin = time.monotonic()
        with pytest.raises(UnitError, match="not finished within 4 s"):
            start.result()
        assert time.monotonic() - begin < 10.0


def test_systemd_executing_itself_anew_is_only_a_pause(
    manager: SystemdUnitManager, systemd: SmallSystemd
) -> None:
    manager.run(UnitVerb.START, "steady.service", timeout_s=10)
    pid = manager.unit("steady.service").main_pid
    systemd.systemctl("daemon-reexec", check=False)
    wait_until(lambda: _reload_result(manager) is JobResult.DONE, timeout_s=20.0)
    assert manager.unit("steady.service").main_pid == pid


def test_changes_by_others_give_hints(
    manager: SystemdUnitManager, systemd: SmallSystemd, hints: Hints
) -> None:
    manager.run(UnitVerb.START, "steady.service", timeout_s=10)
    for change in (["restart", "steady.service"], ["stop", "steady.service"], ["daemon-reload"]):
        before = _settled(hints)
        systemd.systemctl(*change)
        wait_until(lambda before=before: hints.count > before, timeout_s=5.0)  # type: ignore[misc]


def test_other_units_give_no_hints(manager: SystemdUnitManager, systemd: SmallSystemd, hints: Hints) -> None:
    manager.unit("steady.service")
    before = _settled(hints)
    systemd.systemctl("start", "without-reload.service")
    assert _settled(hints) == before


def test_a_lost_bus_gives_a_hint(manager: SystemdUnitManager, systemd: SmallSystemd, hints: Hints) -> None:
    manager.unit("steady.service")
    before = _settled(hints)
    systemd.kill_bus()
    wait_until(lambda: hints.count > before, timeout_s=5.0)


def test_closing_is_quick_while_the_bus_is_away(manager: SystemdUnitManager, systemd: SmallSystemd) -> None:
    manager.unit("steady.service")
    systemd.stop_bus()
    begin = time.monotonic()
    manager.close()
    assert time.monotonic() - begin < 2.0
    with pytest.raises(UnitError):
        manager.unit("steady.service")
    systemd.start_bus()


def _reload_result(manager: SystemdUnitManager) -> JobResult | None:
    try:
        return manager.run(UnitVerb.RELOAD, "steady.service", timeout_s=10)
    except UnitError:
        return None


def _bus_or_none(connection: BusConnection) -> Any:
    try:
        return connection.bus()
    except UnitError:
        return None


def _is_active(systemd: SmallSystemd, name: str) -> bool:
    return systemd.systemctl("is-active", name, check=False).strip() == "active"


def _settled(hints: Hints) -> int:
    """The count, once it has not moved for a while."""
    seen = [(-1, 0.0)]

    def is_still() -> bool:
        now = time.monotonic()
        if seen[-1][0] != hints.count:
            seen.append((hints.count, now))
        return now - seen[-1][1] > 0.3

    wait_until(is_still, timeout_s=10.0)
    return hints.count


@pytest.mark.parametrize("who", ["systemd", "the bus"])
def test_a_process_that_hangs_costs_the_callers_deadline_alone(
    manager: SystemdUnitManager, systemd: SmallSystemd, who: str
) -> None:
    """Process 1 or dbus-daemon takes the call and does not answer; afterwards everything is as before."""
    manager.run(UnitVerb.START, "steady.service", timeout_s=10)
    bus_pid = int(systemd.systemctl("show", "--property=MainPID", "--value", "dbus.service"))
    pid = systemd.leader if who == "systemd" else systemd.outside(bus_pid)
    os.kill(pid, signal.SIGSTOP)
    try:
        begin = time.monotonic()
        try:
            assert manager.run(UnitVerb.RELOAD, "steady.service", timeout_s=1.0) is JobResult.LOST
        except UnitError as error:
            assert "steady.service" in str(error)
        assert time.monotonic() - begin < 8.0
    finally:
        os.kill(pid, signal.SIGCONT)
    wait_until(lambda: _reloads(manager), timeout_s=10.0)


def _reloads(manager: SystemdUnitManager) -> bool:
    try:
        return manager.run(UnitVerb.RELOAD, "steady.service", timeout_s=5.0) is JobResult.DONE
    except UnitError:
        return False


class _CalledAway(BaseException):
    pass


def test_who_waits_for_a_job_gives_signs_of_life_and_can_be_called_away(systemd: SmallSystemd) -> None:
    signs: list[int] = []

    def sign() -> None:
        signs.append(1)
        if len(signs) == 2:
            raise _CalledAway

    manager = SystemdUnitManager(address=systemd.address, on_wait=sign)
    try:
        with pytest.raises(_CalledAway):
            manager.run(UnitVerb.RESTART, "slow-start.service", timeout_s=60)
        assert manager.unit("slow-start.service").active is ActiveState.ACTIVATING, (
            "the job was not waited for"
        )
        wait_until(lambda: manager.unit("slow-start.service").active is ActiveState.ACTIVE, timeout_s=60.0)
    finally:
        manager.close()
