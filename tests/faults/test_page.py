"""docs/reliability.md: up to date, complete, and naming tests that exist and are never skipped."""

from __future__ import annotations

import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from tests.faults.named import ROOT, all_cases, all_tests, node_id, skips
from tests.faults.page import page_text
from tests.faults.promises import PROMISES, with_table
from tests.faults.run import of_promises, part_of, read, summary


def test_the_page_is_up_to_date() -> None:
    assert (ROOT / "docs/reliability.md").read_text() == page_text(), (
        "run: build/venv/bin/python -m tests.faults.page > docs/reliability.md"
    )


def test_the_command_prints_the_page() -> None:
    command = [sys.executable, "-m", "tests.faults.page"]
    printed = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, timeout=60).stdout
    assert printed == (ROOT / "docs/reliability.md").read_bytes()


def test_every_case_is_there_once() -> None:
    ids = [case.id for case in all_cases()]
    assert sorted(int(one) for one in ids if one.isdecimal()) == list(range(1, 46))
    assert sorted(int(one[1:]) for one in ids if one.startswith("S")) == list(range(1, 19))
    assert sorted(int(one[1:]) for one in ids if one.startswith("N")) == list(range(1, 6))
    assert len(ids) == len(set(ids)) == 68


def test_every_case_says_what_is_expected_and_is_tested() -> None:
    for case in all_cases():
        assert case.fault
        assert case.expected.endswith((".", ")"))
        assert case.tests, case.id
        assert len(set(case.tests)) == len(case.tests), case.id


def test_every_named_test_exists_and_is_never_skipped() -> None:
    for test in all_tests():
        assert node_id(test), test
        assert not skips(test), test


def test_the_promises_on_the_front_page_are_up_to_date() -> None:
    readme = (ROOT / "README.md").read_text()
    assert with_table(readme) == readme, "run: build/venv/bin/python -m tests.faults.promises"
    with pytest.raises(ValueError, match="needs one line"):
        with_table("# no place for it\n")


def test_every_promise_is_held_by_tests_that_exist_and_are_never_skipped() -> None:
    assert [promise.id for promise in PROMISES] == [f"P{number}" for number in range(1, 13)]
    for promise in PROMISES:
        assert promise.all_tests(), promise.id
        for test in promise.all_tests():
            assert node_id(test), test
            assert not skips(test), test
            assert part_of(test), test


def test_a_promise_holds_when_each_of_its_tests_ran_and_passed() -> None:
    promise = PROMISES[0]
    passed = {test: Counter(passed=1) for test in promise.all_tests()}
    assert of_promises([promise.id], passed) == (f"ok   P1  {promise.words}: {len(passed)} passed", True)
    for change in (Counter(passed=1, failed=1), Counter(skipped=1), Counter[str]()):
        words, is_good = of_promises([promise.id], {**passed, promise.all_tests()[-1]: change})
        assert not is_good, words
    assert "did not run" in words


SKIPPED = """
import pytest

@pytest.mark.skipif(True, reason="no")
def test_marked(): ...

def test_inside():
    pytest.skip("no")

@pytest.mark.xfail
class TestGroup:
    def test_within(self): ...

class TestOther:
    def test_plain(self): ...
"""


@pytest.mark.parametrize(
    ("name", "is_skipped"),
    [("test_marked", True), ("test_inside", True), ("test_within", True), ("test_plain", False)],
)
def test_skips_are_seen(tmp_path: Path, name: str, *, is_skipped: bool) -> None:
    file = tmp_path / "test_some.py"
    file.write_text(SKIPPED)
    assert skips(f"{file}::{name}") is is_skipped


def test_outcomes_are_counted_by_name(tmp_path: Path) -> None:
    """As pytest reports them, for a file with one of each; and one that did not run is no success."""
    (tmp_path / "tests").mkdir()
    (tmp_path / "tests/test_some.py").write_text(
        SKIPPED + "@pytest.mark.parametrize('a', [1, 2])\ndef test_one(a): assert a == 1\n"
    )
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        f"--rootdir={tmp_path}",
        f"--junitxml={tmp_path}/report.xml",
        "tests",
    ]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False, timeout=60).returncode == 1
    found = read(tmp_path / "report.xml")
    assert found["tests/test_some.py::test_one"] == {"passed": 1, "failed": 1}
    assert found["tests/test_some.py::test_marked"] == {"skipped": 1}
    assert found["tests/test_some.py::TestOther"] == {"passed": 1}
    case = all_cases()[0]
    passed = {test: Counter(passed=2) for test in case.tests}
    for change, is_good in (
        (Counter(passed=1), True),
        (Counter(passed=1, skipped=1), False),
        (Counter[str](), False),
    ):
        words, good = summary({**passed, case.tests[-1]: change})
        assert good is is_good, words
    assert "did not run" in words


def test_every_test_has_an_environment() -> None:
    for test in all_tests():
        assert part_of(test)


def test_absent_and_ambiguous_names_are_seen(tmp_path: Path) -> None:
    file = tmp_path / "test_some.py"
    file.write_text("def test_a(): ...\nclass TestB:\n    def test_a(self): ...\n    def test_c(self): ...\n")
    assert node_id(f"{file}::test_c") == f"{file}::TestB::test_c"
    with pytest.raises(KeyError):
        node_id(f"{file}::test_d")
    with pytest.raises(ValueError, match="too many"):
        node_id(f"{file}::test_a")
