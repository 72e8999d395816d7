"""While the agent's file is there, what warms up stands still."""

from __future__ import annotations

import importlib
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent import wire
from hubagent.guest.kernels.pool import Pool
from hubagent.guest.kernels.recipes import Recipe
from hubagent.guest.pausing import Pausing
from tests.guest.container import Container, until

FOREVER_S = 3600.0


class Beside:
    """What warms up beside the imports."""

    def __init__(self) -> None:
        self.is_warm = False
        self.is_paused = False

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / wire.GUEST_PAUSE


@pytest.fixture
def beside() -> Beside:
    return Beside()


@pytest.fixture
def pausing(file: Path, beside: Beside) -> Iterator[Pausing]:
    one = Pausing(file, at_most_s=FOREVER_S)
    one.include(beside)
    yield one
    one.end()


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The name of a module that was not imported yet."""
    name = "warms_up_in_this_test"
    (tmp_path / f"{name}.py").write_text("")
    monkeypatch.syspath_prepend(tmp_path)
    yield name
    sys.modules.pop(name, None)


def test_imports_wait_for_the_end_of_a_pause(
    file: Path, beside: Beside, pausing: Pausing, module: str
) -> None:
    file.touch()
    until(lambda: beside.is_paused, "the pause begins")

    def warm_up() -> None:
        with pausing.imports():
            importlib.import_module(module)

    thread = threading.Thread(target=warm_up)
    thread.start()
    until(lambda: pausing in sys.meta_path, "it is at work")
    thread.join(0.2)
    assert module not in sys.modules
    file.unlink()
    thread.join()
    assert module in sys.modules
    assert pausing not in sys.meta_path
    until(lambda: not beside.is_paused, "all goes on")


def test_as_often_as_somebody_starts(file: Path, beside: Beside, pausing: Pausing) -> None:
    for _ in range(3):
        file.touch()
        until(lambda: beside.is_paused, "a pause begins")
        file.unlink()
        until(lambda: not beside.is_paused, "it ends")


def test_what_comes_in_a_pause_stands_still_too(file: Path, beside: Beside, pausing: Pausing) -> None:
    file.touch()
    until(lambda: beside.is_paused, "the pause begins")
    later = Beside()
    pausing.include(later)
    assert later.is_paused


def test_a_file_that_nobody_takes_away_is_passed_over(file: Path, beside: Beside, module: str) -> None:
    file.touch()
    pausing = Pausing(file, at_most_s=0.05)
    pausing.include(beside)
    until(lambda: beside.is_paused, "the pause begins")
    with pausing.imports():
        importlib.import_module(module)
    until(lambda: not beside.is_paused, "it has lasted long enough")
    file.unlink()
    pausing.end()


def test_the_end_of_it_ends_a_pause(file: Path, beside: Beside, pausing: Pausing) -> None:
    file.touch()
    until(lambda: beside.is_paused, "the pause begins")
    pausing.end()
    assert not beside.is_paused


def test_once_all_is_warm_nothing_is_looked_for(file: Path, beside: Beside) -> None:
    before = threading.active_count()
    pausing = Pausing(file, at_most_s=FOREVER_S)
    pausing.include(beside)
    assert threading.active_count() == before + 1
    beside.is_warm = True
    until(lambda: threading.active_count() == before, "its thread is over")
    pausing.end()


def test_a_kernel_that_warms_up_is_stopped_and_goes_on(tmp_path: Path) -> None:
    """Also one that is started in the pause."""
    go_on = tmp_path / "go-on"
    os.mkfifo(go_on)
    program = 'report=$1; read -r _ <"$2"; printf w >/dev/fd/"$report"; exec cat'
    recipe = Recipe(("kernel",), ("sh", "-c", program, "sh"), (str(go_on),), {}, ())
    pool = Pool()
    pool.pause()
    pool.keep({"one": (recipe, 1)})
    pid = until(_child_called_sh, "the kernel is started")
    until(lambda: _state(pid) == "T", "it is stopped")
    pool.resume()
    until(lambda: _state(pid) == "S", "it goes on")
    pool.pause()
    until(lambda: _state(pid) == "T", "it is stopped again")
    pool.resume()
    go_on.write_text("go on\n")
    until(lambda: pool.waiting() == {"one": 1}, "it is warm")
    pool.pause()
    until(lambda: _state(pid) == "S", "what waits is left to wait, as it is in nobody's way")
    pool.end()


def test_a_guest_becomes_ready_after_a_pause(tmp_path: Path) -> None:
    container = Container(tmp_path)
    pause = tmp_path / "socket" / wire.GUEST_PAUSE
    pause.touch()
    container.start(wire.GuestSettings(mode="warm", modules=("json", "decimal"), kernels={"python3": 1}))
    try:
        pause.unlink()

        def ready() -> wire.Pong | None:
            pong = container.ask(wire.Ping())
            return pong if isinstance(pong, wire.Pong) and pong.ready else None

        assert until(ready, "it is ready").kernels == {"python3": 1}
    finally:
        container.end()


def _child_called_sh() -> int | None:
    for children in Path("/proc/self/task").glob("*/children"):
        for pid in children.read_text().split():
            if Path(f"/proc/{pid}/comm").read_text() == "sh\n":
                return int(pid)
    return None


def _state(pid: int) -> str:
    """The letter of proc_pid_stat(5)."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
