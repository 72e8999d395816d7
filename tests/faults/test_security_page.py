"""docs/security.md: its tables are up to date and name tests that exist and are never skipped."""

from __future__ import annotations

import pytest

from tests.faults.named import node_id, skips
from tests.faults.security_items import CHAPTERS
from tests.faults.security_page import PAGE, with_tables

ITEMS = [item for chapter in CHAPTERS for item in chapter.cases]


def test_the_page_is_up_to_date() -> None:
    assert PAGE.read_text() == with_tables(PAGE.read_text()), (
        "run: build/venv/bin/python -m tests.faults.security_page"
    )


def test_a_page_without_a_place_for_the_tables_is_refused() -> None:
    with pytest.raises(ValueError, match="has no line"):
        with_tables("# Security\n")


def test_the_items_are_numbered_and_each_is_tested() -> None:
    assert [item.id for item in ITEMS] == [str(number) for number in range(1, len(ITEMS) + 1)]
    for item in ITEMS:
        assert item.tests, item.id
        assert len(set(item.tests)) == len(item.tests), item.id


@pytest.mark.parametrize("test", sorted({test for item in ITEMS for test in item.tests}))
def test_every_named_test_exists_and_is_never_skipped(test: str) -> None:
    assert node_id(test)
    assert not skips(test)
