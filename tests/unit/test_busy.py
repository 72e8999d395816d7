"""The busy variant names tests that exist, and its load ends."""

from __future__ import annotations

import os
import re

from tests.busy.__main__ import ROOT, TESTS
from tests.busy.load import burning


def test_the_ten_tests_exist() -> None:
    assert len(TESTS) == len(set(TESTS)) == 10
    for test in TESTS:
        file, _, name = test.partition("::")
        assert re.search(rf"^def {name}\(", (ROOT / file).read_text(), re.MULTILINE), test


def test_the_load_ends_with_its_block() -> None:
    before = _children()
    with burning(at_most_s=60, processes=3):
        assert len(_children() - before) == 3
    assert _children() == before


def _children() -> set[str]:
    with open(f"/proc/self/task/{os.getpid()}/children") as children:
        return set(children.read().split())
