"""Fuzz each target for so many seconds: `python -m tests.fuzz.run SECONDS [NAME…]`. Ends with a table; 1 when something
was found, which then lies in build/fuzz/NAME/found-….

What was learned stays in build/fuzz/NAME/corpus, and the next run goes on from there.
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
FUZZ: Final = ROOT / "build/fuzz"
NAMES: Final = ("loader", "spawn", "homes")

_START_S: Final = 120.0
# Mounts are to be seen by nobody else, and are shared within, as systemd makes them.
_NAMESPACE: Final = ("unshare", "--mount", "--propagation", "private", "sh", "-ec")
_SHARED: Final = 'mount --make-rshared / && exec "$@"'
_LIMITS: Final = (
    "-max_len=4096",
    "-timeout=25",
    "-rss_limit_mb=1500",
    "-print_final_stats=1",
    "-verbosity=1",
)


def fuzz(name: str, seconds: int) -> tuple[str, bool]:
    """A row of the table, and whether nothing was found."""
    folder = FUZZ / name
    folder.mkdir(parents=True, exist_ok=True)
    log, before = folder / "log", _found(folder)
    command = [sys.executable, "-m", "tests.fuzz.target", name, str(folder), f"-max_total_time={seconds}"]
    command += [*_LIMITS, f"-artifact_prefix={folder}/found-"]
    with log.open("w") as output:
        done = subprocess.run(
            [*_NAMESPACE, _SHARED, "sh", *command],
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
            timeout=seconds + _START_S,
            check=False,
        )
    text = log.read_text(errors="replace")
    new = sorted(_found(folder) - before)
    is_good = done.returncode == 0 and not new
    executions = _last(r"stat::number_of_executed_units:\s+(\d+)", text)
    branches, features = _last(r"cov: (\d+)", text), _last(r"ft: (\d+)", text)
    inputs = len(list((folder / "corpus").iterdir()))
    row = f"{name:8} {executions:>12} {branches:>10} {features:>10} {inputs:>8}  "
    return row + (
        "nothing" if is_good else f"{', '.join(new) or f'exit {done.returncode}'}; see {log}"
    ), is_good


def _found(folder: Path) -> set[str]:
    return {path.name for path in folder.glob("found-*")}


def _last(pattern: str, text: str) -> str:
    return next(iter(re.findall(pattern, text)[-1:]), "?")


def main(arguments: Sequence[str]) -> int:
    seconds, names = int(arguments[0]), arguments[1:] or NAMES
    rows = [fuzz(name, seconds) for name in names]
    print(f"{'target':8} {'executions':>12} {'branches':>10} {'features':>10} {'corpus':>8}  found")
    print("\n".join(row for row, _ in rows))
    return 0 if all(is_good for _, is_good in rows) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
