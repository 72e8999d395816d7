"""The table of Julia's versions, as it is made of Julia's own list."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[3]
SCRIPT = ROOT / "packaging/julia_versions.py"
SHIPPED = ROOT / "conf/image/julia-versions.json"


def archive(triplet: str, sha256: str, kind: str = "archive") -> dict[str, object]:
    """One file of a version, as https://julialang-s3.julialang.org/bin/versions.json has it."""
    return {
        "url": f"https://julialang-s3.julialang.org/bin/x/julia-{triplet}.tar.gz",
        "triplet": triplet,
        "kind": kind,
        "arch": triplet.partition("-")[0],
        "os": "linux",
        "sha256": sha256,
        "extension": "tar.gz",
        "size": 1,
    }


def version(sha256: str, *others: dict[str, object], stable: bool = True) -> dict[str, object]:
    both = [archive(f"{machine}-linux-gnu", sha256 * 64) for machine in ("x86_64", "aarch64")]
    return {"files": [*others, *both], "stable": stable}


def test_it_has_the_stable_versions_that_each_machine_can_have(tmp_path: Path) -> None:
    listed = {
        "1.9.4": version("1"),
        "1.10.0": version("2", archive("x86_64-linux-musl", "f" * 64)),
        "1.10.1": version("3", archive("x86_64-linux-gnu", "e" * 64, kind="installer")),
        "1.11.0-rc1": version("4", stable=False),
        "1.12.0": {"files": [archive("x86_64-linux-gnu", "5" * 64)], "stable": True},
        "1.5.3": version("6"),
    }
    source = tmp_path / "versions.json"
    source.write_text(json.dumps(listed))
    made = json.loads(
        subprocess.run([sys.executable, SCRIPT, source], stdout=subprocess.PIPE, check=True).stdout
    )
    assert list(made["versions"].items()) == [
        (name, {"x86_64": digit * 64, "aarch64": digit * 64})
        for name, digit in (("1.10.1", "3"), ("1.10.0", "2"), ("1.9.4", "1"))
    ]
    assert made["downloads"] == json.loads(SHIPPED.read_bytes())["downloads"]


def test_the_shipped_table_has_each_version_in_order() -> None:
    numbers = [tuple(map(int, one.split("."))) for one in json.loads(SHIPPED.read_bytes())["versions"]]
    assert numbers == sorted(numbers, reverse=True)
    assert {(1, 10), (1, 11), (1, 12), (1, 13)} <= {one[:2] for one in numbers}
    patches = {minor: [one[2] for one in numbers if one[:2] == (1, minor)] for minor in range(10, 14)}
    assert all(found == list(range(found[0], -1, -1)) for found in patches.values()), patches
