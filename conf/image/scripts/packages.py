#!/usr/bin/env python3
"""Install and compile the Julia packages of packages.txt, and bake them into a system image where that pays.

With an empty list nothing is asked of Julia's registry. `sysimage.txt` says auto, always or never.
"""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

HERE = Path("/opt/hubagent-image")
DEPOT = Path("/opt/julia")
PROJECT = DEPOT / "environments/hubagent"
SYSIMAGE = DEPOT / "sysimage.so"

CPU_TARGETS = {
    # An image may be built on one machine and run on another: code for another processor is compiled anew at every
    # start, or crashes. As in Jupyter's own images.
    "x86_64": "generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1);x86-64-v4,-rdrnd,base(1)",
    "aarch64": "generic;cortex-a57;thunderx2t99;carmel,clone_all;apple-m1,base(3);neoverse-512tvb,base(3)",
}
NATIVE_CODE_IS_CACHED = (1, 9)
"""From here on Julia keeps native code of each package, and a system image wins little."""


def version() -> tuple[int, int]:
    said = subprocess.run(
        ["julia", "--startup-file=no", "-e", "print(VERSION.major, ' ', VERSION.minor)"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    major, minor = said.split()
    return int(major), int(minor)


def julia(script: str, *arguments: str, **environment: str) -> None:
    command = ["julia", "--startup-file=no", f"--project={PROJECT}", str(HERE / script), *arguments]
    subprocess.run(command, check=True, env={**os.environ, **environment})


def main() -> None:
    packages = [line for line in (HERE / "packages.txt").read_text().splitlines() if line]
    PROJECT.mkdir(parents=True, exist_ok=True)
    if not packages:
        print("no Julia packages are asked for")
        return
    now = version()
    # The image's depot alone: what is installed here must not land in a user's.
    depot = {
        "JULIA_DEPOT_PATH": f"{DEPOT}:",
        "JULIA_LOAD_PATH": "@:@stdlib",
        "IJULIA_NODEFAULTKERNEL": "1",  # which would be a second one, for this build's user
    }
    targets = CPU_TARGETS.get(platform.machine(), "generic")
    if now >= NATIVE_CODE_IS_CACHED:
        depot["JULIA_CPU_TARGET"] = targets
    wish = (HERE / "sysimage.txt").read_text().strip()
    bake = wish == "always" or (wish == "auto" and now < NATIVE_CODE_IS_CACHED)
    julia("packages.jl", str(HERE / "packages.txt"), **depot)
    if bake:
        julia(
            "sysimage.jl",
            str(SYSIMAGE),
            str(HERE / "packages.txt"),
            targets,
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
