"""What only the fakes can do: scripted faults, and power cuts."""

from __future__ import annotations

from pathlib import Path

import pytest

from hubagent.errors import ContainerError, StorageError, TemporaryError, UnitError
from hubagent.ports import ActiveState, FileStore, HttpAnswer, JobResult, UnitVerb
from tests.fakes import (
    FakeContainerRuntime,
    FakeHttpProbe,
    FakeNotifier,
    FakeUnitManager,
    ManualClock,
    MemoryFileStore,
    PowerLost,
    Survivors,
)

_NGINX = "nginx.service"


def _switch(store: FileStore) -> None:
    """Two generations, each whole before the link is turned to it."""
    for number in (b"1", b"2"):
        folder = Path(f"/g/{number.decode()}")
        store.make_dir(folder, mode=0o711)
        store.write(folder / "f", number, mode=0o600)
        store.link(Path("/current"), f"g/{number.decode()}")
    store.remove(Path("/g/1"))


def _steps_of_a_switch() -> int:
    store = MemoryFileStore({"/g/keep": ""})
    _switch(store)
    return store.steps


@pytest.mark.parametrize("survivors", list(Survivors))
@pytest.mark.parametrize("steps", range(_steps_of_a_switch()))
def test_after_a_power_cut_there_is_one_whole_generation_or_none(steps: int, survivors: Survivors) -> None:
    store = MemoryFileStore({"/g/keep": ""})
    store.cut_power_after(steps)
    with pytest.raises(PowerLost):
        _switch(store)
    store.reboot(survivors)
    link = store.read_link(Path("/current"))
    state = store.read(Path("/current/f"), max_bytes=9)
    assert (link, state and state.content) in [(None, None), ("g/1", b"1"), ("g/2", b"2")]


def test_what_was_not_synced_is_lost_or_empty_or_there() -> None:
    seen = []
    for survivors in Survivors:
        store = MemoryFileStore({"/f": "old"})
        store.cut_power_after(4)  # created, owned, given its mode and content; neither synced nor renamed
        with pytest.raises(PowerLost):
            store.write(Path("/f"), b"new", mode=0o600)
        store.reboot(survivors)
        assert store.text("/f") == "old"
        seen.append(sorted(content for path, content in store.contents().items() if path != "/f"))
    assert seen == [[], [b""], [b"new"]]


def test_a_machine_without_power_does_nothing() -> None:
    store = MemoryFileStore({"/f": "old"})
    store.cut_power_after(0)
    for _ in range(2):
        with pytest.raises(PowerLost):
            store.read(Path("/f"), max_bytes=9)
    store.reboot()
    assert store.text("/f") == "old"


def test_files_fail_where_and_as_often_as_told() -> None:
    store = MemoryFileStore({"/etc/a": "", "/var/a": ""})
    store.fail("write", "/etc", "No space left on device", times=2)
    store.write(Path("/var/a"), b"x", mode=0o644)
    for _ in range(2):
        with pytest.raises(StorageError, match="/etc/a: No space left"):
            store.write(Path("/etc/a"), b"x", mode=0o644)
    store.write(Path("/etc/a"), b"x", mode=0o644)
    store.free = 1
    with pytest.raises(StorageError, match="No space left"):
        store.write(Path("/etc/a"), b"xy", mode=0o644)
    assert [entry for entry in store.journal if entry[1] == "/var/a"] == [("write", "/var/a")]


@pytest.mark.parametrize(("changes", "is_whole"), [(0, True), (1, True), (2, False)])
def test_a_torn_read_is_retried_once(changes: int, *, is_whole: bool) -> None:
    store = MemoryFileStore({"/f": "x"})
    store.tear("/f", changes=changes)
    if is_whole:
        assert store.text("/f") == "x"
    else:
        with pytest.raises(StorageError, match="changed while it was read"):
            store.text("/f")
    assert store.text("/f") == "x"


def test_sleeping_passes_through_what_happens_meanwhile() -> None:
    clock = ManualClock(monotonic=10.0, time=500.0)
    happened: list[tuple[str, float]] = []
    clock.later(0.2, lambda: happened.append(("second", clock.monotonic())))
    clock.later(0.1, lambda: happened.append(("first", clock.monotonic())))
    clock.sleep(0.15)
    assert [what for what, _ in happened] == ["first"]
    clock.sleep(1.0)
    assert [what for what, _ in happened] == ["first", "second"]
    assert [at for _, at in happened] == pytest.approx([10.1, 10.2])
    assert [clock.monotonic(), clock.time()] == pytest.approx([11.15, 501.15])
    assert clock.slept == [0.15, 1.0]


def test_units_fail_hang_and_delay_as_told() -> None:
    clock = ManualClock()
    manager = FakeUnitManager({_NGINX: ActiveState.ACTIVE}, clock=clock)
    manager.fail(UnitVerb.RELOAD, _NGINX)
    manager.hang(UnitVerb.RELOAD, _NGINX)
    manager.delay(UnitVerb.RELOAD, _NGINX, 2.0)
    begin = clock.monotonic()
    assert manager.run(UnitVerb.RELOAD, _NGINX, timeout_s=5) is JobResult.FAILED
    with pytest.raises(UnitError, match="not finished within 5 s"):
        manager.run(UnitVerb.RELOAD, _NGINX, timeout_s=5)
    assert manager.run(UnitVerb.RELOAD, _NGINX, timeout_s=5) is JobResult.DONE
    assert clock.monotonic() - begin == pytest.approx(7.0)
    assert manager.verbs(_NGINX) == [("reload", _NGINX)] * 3


def test_services_react_to_jobs_that_were_carried_out() -> None:
    manager = FakeUnitManager({_NGINX: ActiveState.ACTIVE})
    served: list[UnitVerb] = []
    manager.on(_NGINX, served.append)
    manager.fail(UnitVerb.RELOAD, _NGINX)
    manager.lose(UnitVerb.RELOAD, _NGINX, is_carried_out=False)
    manager.lose(UnitVerb.RELOAD, _NGINX, is_carried_out=True)
    results = [manager.run(UnitVerb.RELOAD, _NGINX, timeout_s=5) for _ in range(4)]
    assert results == [JobResult.FAILED, JobResult.LOST, JobResult.LOST, JobResult.DONE]
    assert served == [UnitVerb.RELOAD] * 2


def test_units_crash_and_come_back() -> None:
    manager = FakeUnitManager({_NGINX: ActiveState.ACTIVE})
    first = manager.unit(_NGINX)
    manager.restart_by_itself(_NGINX)
    second = manager.unit(_NGINX)
    assert (second.restarts, second.main_pid != first.main_pid) == (1, True)
    manager.crash(_NGINX)
    assert manager.unit(_NGINX).active is ActiveState.FAILED


def test_without_a_bus_every_call_fails() -> None:
    manager = FakeUnitManager({_NGINX: ActiveState.ACTIVE})
    manager.disconnect()
    with pytest.raises(UnitError, match="no connection"):
        manager.unit(_NGINX)
    manager.reconnect()
    assert manager.unit(_NGINX).active is ActiveState.ACTIVE


def test_probes_hang_refuse_and_answer_by_method() -> None:
    clock = ManualClock()
    probe = FakeHttpProbe(clock=clock)
    url = "http://127.0.0.1/x"
    probe.serve(url, 200, "page")
    probe.serve_by(url, lambda request: HttpAnswer(201, request.headers["A"].encode()), method="POST")
    assert probe.request(url) == HttpAnswer(200, b"page")
    assert probe.request(url, method="POST", headers={"A": "b"}) == HttpAnswer(201, b"b")
    probe.hang(url)
    before = clock.monotonic()
    with pytest.raises(TemporaryError, match="no answer within 3 s"):
        probe.request(url, timeout_s=3)
    assert clock.monotonic() - before == pytest.approx(3.0)
    probe.refuse(url)
    with pytest.raises(TemporaryError, match="refused"):
        probe.request(url)
    assert [request.method for request in probe.journal] == ["GET", "POST", "GET", "GET"]


def test_an_engine_stops_refuses_and_comes_back() -> None:
    runtime = FakeContainerRuntime(images={"a": "sha256:1"})
    runtime.refuse("image_id", "500 internal error")
    with pytest.raises(ContainerError, match="500"):
        runtime.image_id("a")
    runtime.stop()
    with pytest.raises(ContainerError, match="does not answer"):
        runtime.image_id("a")
    runtime.start()
    assert runtime.image_id("a") == "sha256:1"


def test_the_notifier_keeps_the_last_status() -> None:
    notifier = FakeNotifier()
    notifier.ready("up")
    notifier.watchdog()
    notifier.status("looking")
    assert notifier.last_status == "looking"
    assert notifier.journal[:2] == [("ready", "up"), ("watchdog", "")]
