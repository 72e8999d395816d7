"""What a process that gets warm may take, and what is said of one that does not: real processes."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from hubagent.guest.kernels.pool import Pool
from hubagent.guest.kernels.recipes import Recipe
from hubagent.guest.kernels.spare import Spare
from tests.guest_kernels.jupyter import state
from tests.waiting import wait_until

SPIN = "while True: pass"
SLEEP = "__import__('time').sleep(600)"
WARM = "import os; os.write(int(sys.argv[1]), b'w'); sys.stdin.read()"
WORKS_IN_A_CHILD = "import subprocess; subprocess.run([sys.executable, '-c', 'while True: pass'])"
"""As Julia compiles: its first process only waits."""


def recipe(code: str) -> Recipe:
    return Recipe(
        prefix=("kernel",),
        waiting=(sys.executable, "-c", f"import sys\n{code}"),
        arguments=(),
        spec_environment={},
        fixed=(),
    )


def spare(code: str) -> Spare:
    return Spare(recipe(code), os.environ, "")


@pytest.mark.parametrize("code", [SPIN, WORKS_IN_A_CHILD])
def test_one_that_computes_for_ever_is_given_up_by_its_processor_time(code: str) -> None:
    one = spare(code)
    assert not one.wait_warm(processor_s=1.5, silent_s=600, ask_s=0.1)
    assert one.fault == "gave up after 2 s of processor time"
    assert state(one.process.pid) == ""
    wait_until(lambda: not _session(one.process.pid), "what it has started to end with it")


def _session(leader: int) -> list[str]:
    """The processes of a session that still run."""
    listed = subprocess.run(["ps", "-eo", "sid=,stat=,args="], capture_output=True, text=True, check=True)
    lines = [line.split(maxsplit=2) for line in listed.stdout.splitlines()]
    return [args for sid, status, args in lines if int(sid) == leader and not status.startswith("Z")]


def test_one_that_computes_nothing_is_given_up_by_the_clock() -> None:
    one = spare(SLEEP)
    assert not one.wait_warm(processor_s=600, silent_s=1.0, ask_s=0.1)
    assert one.fault == "gave up after 1 s without any work"


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("sys.exit(7)", "ended with status 7"),
        ("import os; os.kill(os.getpid(), 9)", "was killed; did it run out of memory?"),
        ("import os; os.kill(os.getpid(), 11)", "ended by signal 11"),
    ],
)
def test_one_that_ends_says_how(code: str, said: str) -> None:
    one = spare(code)
    assert not one.wait_warm()
    assert one.fault == said


def test_one_that_gets_warm_has_no_fault(tmp_path: Path) -> None:
    one = spare(WARM)
    assert one.wait_warm()
    assert (one.fault, one.alive) == ("", True)
    one.end()


def test_a_kernel_that_dies_again_and_again_is_told_with_its_reason() -> None:
    pool = Pool()
    pool.keep({"julia": (recipe("sys.exit(7)"), 1)})
    wait_until(lambda: pool.settled, "it is not waited for any more")
    assert pool.faults() == ("kernel 'julia' did not become warm: ended with status 7",)
    pool.end()
