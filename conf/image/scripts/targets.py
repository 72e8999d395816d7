"""For which processors an image's Julia packages are compiled. Used by the scripts beside it."""

from __future__ import annotations

import platform
import subprocess

CPU_TARGETS = {
    # An image may be built on one machine and run on another: code for another processor is compiled anew at every
    # start, or crashes. As in Jupyter's own images.
    "x86_64": "generic;sandybridge,-xsaveopt,clone_all;haswell,-rdrnd,base(1);x86-64-v4,-rdrnd,base(1)",
    "aarch64": "generic;cortex-a57;thunderx2t99;carmel,clone_all;apple-m1,base(3);neoverse-512tvb,base(3)",
}
NATIVE_CODE_IS_CACHED = (1, 9)
"""From here on Julia keeps native code of each package, and a system image wins little."""


def targets() -> str:
    """Julia's notation; see "JULIA_CPU_TARGET" in its manual."""
    return CPU_TARGETS.get(platform.machine(), "generic")


def version() -> tuple[int, int]:
    """Major and minor version of the Julia of this image."""
    said = subprocess.run(
        ["julia", "--startup-file=no", "-e", "print(VERSION.major, ' ', VERSION.minor)"],
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout
    major, minor = said.split()
    return int(major), int(minor)


def environment() -> dict[str, str]:
    """What makes Julia compile packages for all of them: users get what is compiled now."""
    return {"JULIA_CPU_TARGET": targets()} if version() >= NATIVE_CODE_IS_CACHED else {}
