#!/usr/bin/env python3
"""Record what a real Julia kernel compiles in its first minute, and make Pluto's first steps.

A kernel that waits for a user replays the statements (precompile/ijulia.jl, one `precompile(…)` a line), so that
its message path is compiled before it is handed over. Statements that do not apply win nothing and stay silent at
run time, so here they are counted: above a few the image is not good.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from jupyter_client.manager import KernelManager
from targets import environment

HERE = Path("/opt/hubagent-image")
STATEMENTS = HERE / "precompile/ijulia.jl"
DEPOT = "/opt/julia"
"""Of the image. What Pluto makes for itself lies in the first depot; the user's is another one in a server."""

READY_S = 600
ANSWER_S = 300
MOST_UNKNOWN = 0.05
"""Part of the statements that may name what is not known; some name a closure that lives only in the recorded
session. One in sixty is usual."""
MOST_WITHOUT_CODE = 0.2
"""Part of the statements for which Julia may compile nothing ahead; one in twenty is usual."""
WORTH_S = 0.1
"""What replaying must take, since it takes it from the first minute of each user (seconds); memory is not for nothing.
IJulia since 1.30 brings most of it compiled."""


def main() -> None:
    packages = {line.partition("@")[0] for line in (HERE / "packages.txt").read_text().splitlines() if line}
    os.environ["JULIA_DEPOT_PATH"] = f"{DEPOT}:"
    kernel = julia_kernel()
    if kernel:
        record(kernel)
    else:
        print("no Julia kernel: nothing to record")
    if "Pluto" in packages:
        command = ["julia", "--startup-file=no", str(HERE / "pluto.jl")]
        subprocess.run(command, check=True, env={**os.environ, **environment()})


def julia_kernel() -> str:
    """Its name, whatever version stands in it; empty when there is none."""
    specs = KernelSpecManager().get_all_specs()
    return max((name for name, one in specs.items() if one["spec"].get("language") == "julia"), default="")


def record(kernel: str) -> None:
    with tempfile.TemporaryDirectory() as work:
        trace = Path(work, "trace.jl")
        run_session(kernel, trace)
        statements = [line for line in trace.read_text().splitlines() if line.startswith("precompile(")]
        if not statements:
            sys.exit("the Julia kernel compiled nothing that could be recorded; is IJulia whole?")
        recorded = Path(work, "statements.jl")
        recorded.write_text("".join(f"{line}\n" for line in dict.fromkeys(statements)))
        failed, took_s = replay(kernel, recorded)
    kept = [line for line in dict.fromkeys(statements) if line not in failed] if took_s >= WORTH_S else []
    STATEMENTS.write_text("".join(f"{line}\n" for line in kept))
    print(
        f"recorded {len(kept)} statements of a Julia kernel; to compile all {len(statements)} takes {took_s} s"
    )


def run_session(kernel: str, trace: Path) -> None:
    """One session of the kernel as it is installed, with everything that it compiles written to `trace`."""
    manager = KernelManager(kernel_name=kernel)
    try:
        spec = manager.kernel_spec
    except NoSuchKernel:
        sys.exit("the Julia kernel ended while the image was being built")
    assert spec is not None
    spec.argv.insert(1, f"--trace-compile={trace}")
    manager.start_kernel()
    client = manager.client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=READY_S)
        for code in ("1+1", "nothing", (HERE / "workload.jl").read_text(), "[1 2; 3 4]", "sqrt(-1)"):
            client.execute_interactive(code, timeout=ANSWER_S, output_hook=lambda message: None)
        client.complete("prin", 4, reply=True, timeout=ANSWER_S)
        client.inspect("println", 3, reply=True, timeout=ANSWER_S)
        client.is_complete("for i in 1:3")
    finally:
        client.stop_channels()
        manager.shutdown_kernel()


def replay(kernel: str, recorded: Path) -> tuple[set[str], float]:
    """The statements that do not apply in a fresh process, and the seconds that all take; ends the build when those
    are many."""
    spec = KernelManager(kernel_name=kernel).kernel_spec
    argv = [word for word in spec.argv if word.startswith("--sysimage=")]
    said = subprocess.run(
        ["julia", "--startup-file=no", *argv, str(HERE / "replay.jl"), str(recorded), "IJulia"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    statements = recorded.read_text().splitlines()
    lines = said.splitlines()
    unknown = [line.removeprefix("unknown: ") for line in lines if line.startswith("unknown: ")]
    without_code = [line.removeprefix("no code: ") for line in lines if line.startswith("no code: ")]
    if len(unknown) > MOST_UNKNOWN * len(statements) or len(without_code) > MOST_WITHOUT_CODE * len(
        statements
    ):
        print(said, flush=True)
        failed = len(unknown) + len(without_code)
        sys.exit(
            f"{failed} of {len(statements)} recorded statements do not apply; a kernel would not be warm"
        )
    took_s = float(lines[-1].rpartition(" in ")[2])
    return {
        one for one in statements if any(line.startswith(one) for line in (*unknown, *without_code))
    }, took_s


main()
