#!/usr/bin/env python3
"""Whether the image is whole: the last step of a build. Ends with one sentence that says what is wrong."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import version
from pathlib import Path

HERE = Path("/opt/hubagent-image")
DEPOTS = (Path.home() / ".julia", Path("/opt/julia"))
STANDARD = ("Test", "Distributed", "Statistics", "Profile")
"""Of Julia itself, and compiled with it."""

# An exception must pass through code that was compiled a moment ago, and a task must end.
TRIAL = """
risky(x) = x < 0 ? error("negative") : sqrt(x)
caught = try; risky(-1.0); catch fault; fault.msg; end
index = try; [1, 2][7]; catch fault; typeof(fault); end
total = fetch(@async sum(rand(100, 100)^2))
print(caught, " ", index, " ", total > 0)
"""
EXPECTED = "negative BoundsError true"


def main() -> None:
    hub()
    julia()
    packages()


def hub() -> None:
    wanted = (HERE / "jupyterhub.txt").read_text().strip().partition("==")[2]
    if version("jupyterhub") != wanted:
        sys.exit(
            f"jupyterhub is {version('jupyterhub')} here and {wanted} in the hub; does a package in `pip` pin it?"
        )
    for command in (
        ["jupyterhub-singleuser", "--version"],
        ["jupyter", "lab", "--version"],
        ["git", "--version"],
    ):
        done = subprocess.run(command, check=False, capture_output=True, text=True)
        if done.returncode:
            sys.exit(f"{' '.join(command)} failed: {done.stderr.strip()[-500:]}")


def julia() -> None:
    done = subprocess.run(
        ["julia", "--startup-file=no", "-e", TRIAL], check=False, capture_output=True, text=True
    )
    if done.returncode < 0:
        sys.exit(
            f"julia was killed by signal {-done.returncode} when an exception passed through compiled code; with the"
            " distribution's julia, libunwind8 must come from the same suite"
        )
    if done.stdout != EXPECTED:
        sys.exit(f"julia computes {done.stdout!r} where {EXPECTED!r} is right: {done.stderr.strip()[-500:]}")


def packages() -> None:
    """Every package loads, and no user has to compile it again."""
    listed = [line.partition("@")[0] for line in (HERE / "packages.txt").read_text().splitlines() if line]
    names = [*listed, *STANDARD]
    before = compiled()
    for name in names:
        done = subprocess.run(
            ["julia", "--startup-file=no", "-e", "Base.require(Main, Symbol(ARGS[1]))", name],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            sys.exit(f"the Julia package {name} does not load: {done.stderr.strip()[-500:]}")
    again = sorted({path.parent.name for path in compiled() - before})
    if again:
        sys.exit(f"Julia compiles {', '.join(again)} again for each user: the image's own copies do not fit")


def compiled() -> set[Path]:
    return {
        Path(folder, name)
        for depot in DEPOTS
        for folder, _, names in os.walk(depot / "compiled")
        for name in names
    }


main()
