"""From the wish for a kernel to its first result: one that waited against one started when asked for, in turns.

build/guest-venv/bin/python -m tests.bench.kernel [--starts 20]     writes build/bench/kernel.json

`python` is ipykernel behind a real Jupyter server's websocket, from POST /api/kernels to the result of
sum(range(10)). `julia` is a real Julia: from process start, or the hand-over, to the result of an expression that must
be compiled; the one that waits has replayed the precompile statements of such a session, as an image records them.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hubagent.guest.kernels.recipes import julia as julia_recipe
from hubagent.guest.kernels.spare import Spare
from tests.bench.figures import FOLDER, ROOT, Figure, Report, median, percentile
from tests.guest_kernels.jupyter import Server, server
from tests.waiting import wait_until

BAR_S = 0.3
TIMES_FASTER = 3.0
_RESULT = "sum(rand(200,200)^2)"
_WHY_NOT = "no Julia package can be installed in these benchmarks' image"


def main() -> int:
    """Measure and write; 1 when a bar is missed."""
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--starts", type=int, default=20, help="of each kind")
    starts = arguments.parse_args().starts
    found: dict[str, dict[str, Any]] = {"python": _python(starts), "julia": _julia(starts)}
    figures = []
    for name, one in found.items():
        cold, warm = one["cold"], one["warm"]
        print(f"{name}: warm p50 {warm['p50']:.3f} s, p95 {warm['p95']:.3f} s; cold p50 {cold['p50']:.3f} s")
        figures += [
            Figure(
                f"{name}: start to first result, p50",
                "s",
                warm["p50"],
                cold["p50"],
                "started when asked",
                BAR_S,
            ),
            Figure(
                f"{name}: start to first result, p95", "s", warm["p95"], cold["p95"], "started when asked"
            ),
        ]
    report = Report("kernel", figures, {"starts": starts, "julia": "1.5.3"})
    path = report.write()
    value = json.loads(path.read_text())
    unmeasured = {"measured": False, "why": _WHY_NOT}
    path.write_text(
        json.dumps({**value, **found, "ijulia": unmeasured, "pluto": unmeasured}, indent=2) + "\n"
    )
    slow = [one for one in found.values() if one["cold"]["p50"] < TIMES_FASTER * one["warm"]["p50"]]
    return 1 if slow or any(figure.met is False for figure in figures) else 0


def _python(starts: int) -> dict[str, Any]:
    cold, warm = [], []
    with (
        tempfile.TemporaryDirectory() as one,
        tempfile.TemporaryDirectory() as other,
        server(Path(one), kernels={}) as ordinary,
        server(Path(other), kernels={"python": 1}) as waiting,
    ):
        wait_until(lambda: waiting.pong()["ready"], "a kernel waits")
        for running in (ordinary, waiting):
            running.claim()
            _first_result(running, waited=running is waiting)  # the server's own first time
        for _ in range(starts):
            cold.append(_first_result(ordinary))
            waiting.spares()
            warm.append(_first_result(waiting, waited=True))
    return _figures(cold, warm)


def _first_result(running: Server, *, waited: bool = False) -> float:
    begun_s = time.perf_counter()
    kernel = running.start()
    result = kernel.run("sum(range(10))").result
    taken_s = time.perf_counter() - begun_s
    if result != "45" or kernel.waited != waited:
        raise AssertionError(f"result {result!r}, waited: {kernel.waited}")
    running.kernels.remove(kernel)
    kernel.shut_down()
    return taken_s


def _julia(starts: int) -> dict[str, Any]:
    julia = subprocess.run(
        [ROOT / "tests/guest_julia.sh"], stdout=subprocess.PIPE, text=True, check=True
    ).stdout.strip()
    cold, warm = [], []
    with tempfile.TemporaryDirectory() as folder:
        kernel, statements, result = (Path(folder, name) for name in ("kernel.jl", "statements.jl", "result"))
        kernel.write_text(f'write(ARGS[1], string({_RESULT}, "\\n"))\n')
        words = (julia, str(kernel), "{connection_file}")
        command = [julia, str(kernel), str(result)]
        subprocess.run([julia, f"--trace-compile={statements}", *command[1:]], check=True)
        for _ in range(starts):
            cold.append(_until_result(result, lambda: subprocess.Popen(command)))
            spare = Spare(julia_recipe(words, {}, str(statements)), os.environ, folder)
            if not spare.wait_warm():
                raise AssertionError("no Julia waits")
            warm.append(_until_result(result, lambda one=spare: _hand_over(one, command)))
    return _figures(cold, warm)


def _hand_over(spare: Spare, command: list[str]) -> subprocess.Popen[bytes]:
    if not spare.hand_over(command, "/", os.environ):
        raise AssertionError("the Julia that waited is dead")
    return spare.process


def _until_result(result: Path, begin: Callable[[], subprocess.Popen[bytes]]) -> float:
    result.unlink(missing_ok=True)
    begun_s = time.perf_counter()
    process = begin()
    while not (result.exists() and result.read_text().endswith("\n")):
        if process.poll() not in {None, 0}:
            raise AssertionError(f"Julia ended with status {process.returncode}")
        time.sleep(0.001)
    taken_s = time.perf_counter() - begun_s
    process.wait()
    return taken_s


def _figures(cold: list[float], warm: list[float]) -> dict[str, Any]:
    return {
        "n": len(warm),
        "cold": {"p50": median(cold), "p95": percentile(cold, 95), "samples": cold},
        "warm": {"p50": median(warm), "p95": percentile(warm, 95), "samples": warm},
    }


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    sys.exit(main())
