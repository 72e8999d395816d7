"""The pool of waiting kernels: idle, replaced when used or dead, gone with its server, left out where none fits."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from hubagent import wire
from tests.guest_kernels.jupyter import DEADLINE_S, Server, is_blocked_reading, server, state
from tests.waiting import wait_until

WINDOW_S = 2.0
UNUSED_S = 15.0


@pytest.fixture
def one(tmp_path: Path, other_kernels: Path) -> Iterator[Server]:
    """A claimed server with one waiting kernel of `python3`."""
    with server(tmp_path, kernels={"python": 1}, image={"JUPYTER_PATH": str(other_kernels)}) as running:
        wait_until(lambda: running.pong()["ready"], "the kernel waits")
        assert running.pong()["kernels"] == {"python": 1}
        running.claim()
        yield running


@pytest.fixture
def other_kernels(tmp_path: Path) -> Path:
    """Kernels that no waiting one fits: other options of the interpreter, and an environment read at its start."""
    for name, options, environment in (
        ("optimised", ["-O"], {}),
        ("seeded", [], {"PYTHONHASHSEED": "7"}),
    ):
        folder = tmp_path / "image/kernels" / name
        folder.mkdir(parents=True)
        argv = [sys.executable, *options, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        spec = {"argv": argv, "display_name": name, "language": "python", "env": environment}
        (folder / "kernel.json").write_text(json.dumps(spec))
    return tmp_path / "image"


def test_waits_without_using_the_processor(one: Server) -> None:
    (pid,) = one.spares()
    before = ticks(pid)
    end = time.monotonic() + WINDOW_S
    wait_until(lambda: time.monotonic() > end, "the window is over")
    assert ticks(pid) == before
    assert is_blocked_reading(pid)


def test_waits_at_low_priority_and_knows_no_secret(tmp_path: Path) -> None:
    with server(
        tmp_path, kernels={"python3": 1}, environment={"JUPYTERHUB_API_TOKEN": "of-the-user"}
    ) as running:
        wait_until(lambda: running.pong()["ready"], "the kernel waits")
        (pid,) = running.spares()
        assert os.getpriority(os.PRIO_PROCESS, pid) == 19
        running.claim()
        assert b"of-the-user" not in Path(f"/proc/{pid}/environ").read_bytes()
        kernel = running.start()
        assert kernel.pid == pid
        assert kernel.value("__import__('os').environ['JUPYTERHUB_API_TOKEN']") == "of-the-user"
        assert os.getpriority(os.PRIO_PROCESS, pid) == 0


def test_a_used_one_is_replaced(one: Server) -> None:
    (before,) = one.spares()
    kernel = one.start()
    assert kernel.pid == before
    (after,) = one.spares()
    assert after != before


def test_a_dead_one_is_not_handed_out(one: Server) -> None:
    (before,) = one.spares()
    os.kill(before, signal.SIGKILL)
    wait_until(lambda: state(before) in {"Z", ""}, "it is dead")
    kernel = one.start()
    assert kernel.run("sum(range(10))").result == "45"
    assert kernel.pid != before


def test_more_than_wait_start_the_ordinary_way(one: Server) -> None:
    one.spares()
    kernels = [one.start() for _ in range(2)]
    assert [kernel.run("1 + 1").result for kernel in kernels] == ["2", "2"]
    assert kernels[0].waited


def test_kernels_that_none_fits_start_the_ordinary_way(one: Server) -> None:
    (waiting,) = one.spares()
    optimised = one.start("optimised")
    assert optimised.value("__import__('sys').flags.optimize") == 1
    seeded = one.start("seeded")
    assert seeded.value("__import__('os').environ['PYTHONHASHSEED']") == "7"
    assert not optimised.waited
    assert not seeded.waited
    assert one.spares() == [waiting]


def test_nobody_asks_for_so_long_that_none_waits_any_more(tmp_path: Path) -> None:
    with server(tmp_path, kernels={"python3": 1}, unused_s=UNUSED_S) as running:
        wait_until(lambda: running.pong()["ready"], "the kernel waits")
        running.claim()
        used = running.start()
        pid = used.pid
        running.spares()
        wait_until(
            lambda: running.children() == [pid], "what nobody took has ended", timeout_s=UNUSED_S + DEADLINE_S
        )
        assert used.run("1 + 1").result == "2"

        cold = running.start()
        assert not cold.waited
        assert cold.run("1 + 1").result == "2"
        # On a busy machine a kernel may have ended again, unused, before it is asked for.
        wait_until(lambda: running.start().waited, "there are some that wait again")


def test_the_agent_is_told_what_waits_and_what_it_takes(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / wire.GUEST_SPARES)
    pipe = os.open(tmp_path / wire.GUEST_SPARES, os.O_RDWR | os.O_NONBLOCK)
    with server(tmp_path, kernels={"python3": 1}) as running:
        wait_until(lambda: running.pong()["ready"], "the kernel waits")
        running.claim()
        (said,) = wait_until(lambda: told(pipe), "it is told")
        assert (said.kernels, said.plutos) == (1, 0)
        assert said.memory_bytes > 10 * 1024**2
        (tmp_path / "short").touch()
        wait_until(lambda: wire.Spares(0, 0, 0) in told(pipe), "none waits")
    os.close(pipe)


def told(pipe: int) -> list[wire.Spares]:
    """What was said since this was asked before."""
    with contextlib.suppress(BlockingIOError):
        return [wire.from_json(line, wire.Spares) for line in os.read(pipe, 65536).splitlines()]
    return []


def test_while_memory_is_short_none_waits(one: Server, tmp_path: Path) -> None:
    kernel = one.start()
    one.spares()
    (tmp_path / "short").touch()
    wait_until(lambda: one.children() == [kernel.pid], "what waits has ended, and the user's kernel runs")
    cold = one.start()
    assert not cold.waited
    end = time.monotonic() + WINDOW_S
    wait_until(lambda: time.monotonic() > end, "the pause is over")
    assert set(one.children()) == {kernel.pid, cold.pid}
    (tmp_path / "short").unlink()
    one.start()
    one.spares()


def test_what_waits_ends_with_the_server(one: Server) -> None:
    (pid,) = one.spares()
    one.process.kill()
    one.process.wait()
    wait_until(lambda: state(pid) in {"Z", ""}, "it ends by itself")


def test_a_server_without_the_kernel_says_so(tmp_path: Path) -> None:
    with server(tmp_path, kernels={"cobol": 1}) as running:
        pong = wait_until(lambda: (said := running.pong())["ready"] and said, "it is as ready as it will be")
        assert "no kernel 'cobol'" in pong["detail"]
        running.claim()
        assert running.start().run("1 + 1").result == "2"


def test_terminals_and_jupyter_commands_know_of_no_provisioner(one: Server) -> None:
    said = one.start().run("!jupyter kernelspec provisioners")
    assert "local-provisioner" in said.stdout
    assert "hubagent" not in said.stdout
    assert "JUPYTER_DEFAULT_PROVISIONER_NAME" not in Path(f"/proc/{one.process.pid}/environ").read_text()


def ticks(pid: int) -> list[str]:
    """User and system time so far, of the process and its children."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:15]
