"""Run exactly the tests of cases.py, each in the environment that it needs, and say how every case did.

`python -m tests.faults.run [PART...]` runs some parts only; without any it runs all. P1 to P12 instead run the tests of
those promises (promises.py). The last line counts.
"""

from __future__ import annotations

import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.faults.named import ROOT, all_cases, all_tests, node_id
from tests.faults.promises import PROMISES

REPORTS: Final = ROOT / "build/test/faults"

_VENV: Final = "build/venv/bin/python"
_TWO_MACHINES: Final = ("-n", "2", "--dist", "loadgroup")  # as tests/run.sh has it


@dataclass(frozen=True, slots=True)
class Part:
    """Tests that run together."""

    name: str
    folders: tuple[str, ...]
    python: str = _VENV
    options: tuple[str, ...] = ()


PARTS: Final = (
    Part("unit", ("tests/unit", "tests/faults")),
    Part("contract", ("tests/contract",)),
    Part("nginx", ("tests/nginx",)),
    Part("hub", ("tests/hub",), "build/hub-venv/bin/python"),
    Part("guest", ("tests/guest", "tests/guest_kernels"), "build/guest-venv/bin/python"),
    Part("packages", ("tests/packages",)),
    Part("machine", ("tests/machine",), options=_TWO_MACHINES),
)


def part_of(test: str) -> Part:
    """Where a test runs; ValueError when nowhere."""
    (part,) = [part for part in PARTS if any(test.startswith(f"{folder}/") for folder in part.folders)]
    return part


def run(part: Part, tests: Sequence[str]) -> dict[str, Counter[str]]:
    """How each of these tests ended, with all its parameters: passed, failed, skipped."""
    report = REPORTS / f"{part.name}.xml"
    report.parent.mkdir(parents=True, exist_ok=True)
    report.unlink(missing_ok=True)
    options = ["-q", f"--junitxml={report}", *part.options]
    print(f"\n== {part.name}", flush=True)
    command = [part.python, "-m", "pytest", *options, *map(node_id, tests)]
    status = subprocess.run(command, cwd=ROOT, check=False).returncode
    found = read(report) if report.exists() else {}
    if status not in (0, 1) and not found:
        print(f"pytest ended with {status}", file=sys.stderr)
    return {test: found.get(node_id(test), Counter()) for test in tests}


def read(report: Path) -> dict[str, Counter[str]]:
    """A JUnit report of pytest, by node id without parameters and also by class."""
    found: dict[str, Counter[str]] = {}
    for case in ElementTree.parse(report).iter("testcase"):
        module, *classes = _split(case.get("classname", ""))
        kinds = {child.tag for child in case}
        outcome = "failed" if kinds & {"failure", "error"} else "skipped" if "skipped" in kinds else "passed"
        names = [*classes, case.get("name", "").partition("[")[0]]
        for length in range(1, len(names) + 1):
            found.setdefault("::".join([module, *names[:length]]), Counter())[outcome] += 1
    return found


def _split(classname: str) -> tuple[str, ...]:
    """The file and the classes in it."""
    words = classname.split(".")
    classes = [word for word in words if word.startswith("Test")]
    return ("/".join(words[: len(words) - len(classes)]) + ".py", *classes)


def summary(results: Mapping[str, Counter[str]]) -> tuple[str, bool]:
    """The words at the end, and whether everything is as it should be."""
    lines, total, bad = [], Counter[str](), 0
    cases = [case for case in all_cases() if not results.keys().isdisjoint(case.tests)]
    for case in cases:
        counts = sum((results[test] for test in case.tests if test in results), Counter[str]())
        absent = [test for test in case.tests if test in results and not results[test]]
        is_good = bool(counts["passed"]) and not (counts["failed"] or counts["skipped"] or absent)
        bad += not is_good
        words = f"{counts['passed']} passed" + "".join(
            f", {counts[kind]} {kind}" for kind in ("failed", "skipped") if counts[kind]
        )
        lines.append(f"{'ok ' if is_good else 'BAD'} {case.id:>3}  {case.fault}: {words}")
        lines += [f"         did not run: {test}" for test in absent]
    for counts in results.values():
        total += counts
    lines.append(
        f"\n{len(cases)} cases, {len(cases) - bad} hold; {len(results)} named tests: {total['passed']} passed, "
        f"{total['failed']} failed, {total['skipped']} skipped"
    )
    return "\n".join(lines), not bad


def of_promises(wanted: Sequence[str], results: Mapping[str, Counter[str]]) -> tuple[str, bool]:
    """As `summary`, by promise."""
    lines, bad = [], 0
    for promise in PROMISES:
        if promise.id in wanted:
            counts = [results[test] for test in promise.all_tests()]
            is_good = all(count["passed"] and not (count["failed"] or count["skipped"]) for count in counts)
            bad += not is_good
            passed = sum(count["passed"] for count in counts)
            lines.append(f"{'ok ' if is_good else 'BAD'} {promise.id:>3}  {promise.words}: {passed} passed")
            absent = (test for test in promise.all_tests() if not results[test])
            lines += [f"         did not run: {test}" for test in absent]
    return "\n".join(lines), not bad


def main(wanted: Sequence[str]) -> int:
    parts, promises = {part.name for part in PARTS}, {promise.id for promise in PROMISES}
    unknown = set(wanted) - parts - promises
    if unknown or not (parts.isdisjoint(wanted) or promises.isdisjoint(wanted)):
        print(f"some of {', '.join(sorted(parts))}, or some of P1 to P12", file=sys.stderr)
        return 2
    chosen = [test for promise in PROMISES if promise.id in wanted for test in promise.all_tests()]
    results: dict[str, Counter[str]] = {}
    for part in PARTS:
        tests = [test for test in dict.fromkeys(chosen or all_tests()) if part_of(test) == part]
        if tests and (chosen or not wanted or part.name in wanted):
            results |= run(part, tests)
    words, is_good = of_promises(wanted, results) if chosen else summary(results)
    print(f"\n{words}")
    return 0 if is_good else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
