#!/usr/bin/env python3
"""Install and compile the Julia packages of packages.txt, and bake them into a system image where that pays.

With an empty list nothing is asked of Julia's registry. `sysimage.txt` says auto, always or never.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import targets

HERE = Path("/opt/hubagent-image")
DEPOT = Path("/opt/julia")
PROJECT = DEPOT / "environments/hubagent"
SYSIMAGE = DEPOT / "sysimage.so"


def julia(script: str, *arguments: str, **environment: str) -> None:
    command = ["julia", "--startup-file=no", f"--project={PROJECT}", str(HERE / script), *arguments]
    subprocess.run(command, check=True, env={**os.environ, **environment})


def main() -> None:
    packages = [line for line in (HERE / "packages.txt").read_text().splitlines() if line]
    PROJECT.mkdir(parents=True, exist_ok=True)
    if not packages:
        print("no Julia packages are asked for")
        return
    now = targets.version()
    # The image's depot alone: what is installed here must not land in a user's.
    depot = {
        "JULIA_DEPOT_PATH": f"{DEPOT}:",
        "JULIA_LOAD_PATH": "@:@stdlib",
        "IJULIA_NODEFAULTKERNEL": "1",  # which would be a second one, for this build's user
        **targets.environment(),
    }
    wish = (HERE / "sysimage.txt").read_text().strip()
    bake = wish == "always" or (wish == "auto" and now < targets.NATIVE_CODE_IS_CACHED)
    julia("packages.jl", str(HERE / "packages.txt"), **depot)
    if bake:
        julia(
            "sysimage.jl",
            str(SYSIMAGE),
            str(HERE / "packages.txt"),
            targets.targets(),
            str(HERE / "workload.jl"),
            **depot,
        )
    if any(line.partition("@")[0] == "IJulia" for line in packages):
        subprocess.run(
            [
                "julia",
                "--startup-file=no",
                f"--project={PROJECT}",
                "-e",
                'import IJulia; IJulia.installkernel("Julia", ARGS...; specname="julia")',
                "--project=@.",
                *([f"--sysimage={SYSIMAGE}"] if bake else []),
            ],
            check=True,
            env={**os.environ, **depot, "JUPYTER_DATA_DIR": str(DEPOT / "jupyter")},
        )
        name_kernel(now)


def name_kernel(now: tuple[int, int]) -> None:
    """As everywhere, so that notebooks made elsewhere find it. Only before 1.28 IJulia itself adds the version."""
    usual = DEPOT / "jupyter/kernels/julia-{}.{}".format(*now)
    for kernel in list(usual.parent.iterdir()):
        if kernel != usual:
            kernel.rename(usual)


main()
