"""Make conf/image/julia-versions.json out of Julia's own list of versions, https://julialang-s3.julialang.org/bin/versions.json.

    make julia-versions                           # needs the internet
    build/venv/bin/python packaging/julia_versions.py FILE > conf/image/julia-versions.json

FILE is that list; its form is made by VersionsJSONUtil.jl.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

DOWNLOADS: Final = "https://julialang-s3.julialang.org/bin"
FIRST: Final = (1, 6)
"""The oldest version that is offered: IJulia and Pluto need it."""

MACHINES: Final = ("x86_64", "aarch64")
"""As platform.machine() calls them."""


def table(versions: Mapping[str, Any]) -> dict[str, Any]:
    """Checksums (SHA-256, hex) by version and machine: stable ones that each machine can have, the newest first."""
    found = {
        version: _archives(about["files"])
        for version, about in versions.items()
        if _is_offered(version, about)
    }
    whole = [version for version, archives in found.items() if archives.keys() == set(MACHINES)]
    ordered = sorted(whole, key=_number, reverse=True)
    return {"downloads": DOWNLOADS, "versions": {version: found[version] for version in ordered}}


def _is_offered(version: str, about: Mapping[str, Any]) -> bool:
    return bool(about["stable"]) and "-" not in version and _number(version) >= FIRST


def _archives(files: list[Mapping[str, Any]]) -> dict[str, str]:
    by_triplet = {one["triplet"]: one["sha256"] for one in files if one["kind"] == "archive"}
    triplets = {machine: f"{machine}-linux-gnu" for machine in MACHINES}
    return {machine: by_triplet[triplet] for machine, triplet in triplets.items() if triplet in by_triplet}


def _number(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"[0-9]+", version))


if __name__ == "__main__":
    print(json.dumps(table(json.loads(Path(sys.argv[1]).read_bytes())), indent=1))
