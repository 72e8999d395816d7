"""The pages for those who work on hubagent name what there is."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

MODULES_OF_AN_EDIT = 30
"""Who follows an edit through the code opens so many. A change may pass fewer, not more."""

ROOT = Path(__file__).parents[2]
DECISIONS = ROOT / "docs/adr"
PAGES = ("README.md", "CONTRIBUTING.md", "docs/architecture.md", "docs/debugging.md", "docs/adr/README.md")


def test_the_walks_of_the_page_are_those_of_the_code() -> None:
    # In a process of its own: what earlier tests have in memory would not be passed again.
    script = "from tests import walks; assert walks.page() == walks.PAGE.read_text()"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=False, stderr=subprocess.PIPE, text=True
    )
    assert done.returncode == 0, f"python -m tests.walks --write\n{done.stderr}"


def test_an_edit_passes_no_more_modules_than_it_did() -> None:
    found = re.search(
        r"^### An edit: (\d+) modules$", (ROOT / "docs/architecture.md").read_text(), re.MULTILINE
    )
    assert found
    assert int(found[1]) <= MODULES_OF_AN_EDIT


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page: str) -> None:
    path = ROOT / page
    links = re.findall(r"\]\((?!https?:)([^)#\s]+)(?:#[^)]*)?\)", path.read_text())
    assert links
    assert [link for link in links if not (path.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES[1:4])
def test_files_that_are_named_exist(page: str) -> None:
    """By their path from the repository's or the package's top, and tests by their own."""
    named = set(re.findall(r"`((?:[\w.-]+/)*[\w-]+\.(?:py|sh|toml|yaml|md))`", (ROOT / page).read_text()))
    assert named
    tops = (ROOT, ROOT / "hubagent", ROOT / "docs")
    generated = {"hubagent.yaml", "build/dev/hubagent.yaml"}
    assert {one for one in named if not any((top / one).exists() for top in tops)} - generated == set()


@pytest.mark.parametrize("page", PAGES)
def test_make_targets_that_are_named_exist(page: str) -> None:
    named = set(re.findall(r"`make ([a-z-]+)", (ROOT / page).read_text()))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert named <= targets


def test_the_index_of_decisions_has_each_with_its_title() -> None:
    listed = re.findall(
        r"^\| (\d+) \| \[(.+)\]\((.+\.md)\) \| \d{4}-\d\d-\d\d \| .+\. \|$", _index(), re.MULTILINE
    )
    pages = sorted(DECISIONS.glob("[0-9]*.md"))
    there = [(page.read_text().splitlines()[0], page.name) for page in pages]
    assert [(f"# {number}. {title}", name) for number, title, name in listed] == there


def test_every_check_is_made_before_a_commit_too() -> None:
    recipe = re.search(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(), re.MULTILINE)
    assert recipe
    variables = {"$(PY)": "build/venv/bin/python", "$(HUB_PY)": "build/hub-venv/bin/python"}
    checks = recipe[1].replace(" .\n", "\n")  # hooks are given the files
    for name, value in variables.items():
        checks = checks.replace(name, value)
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    assert [hook["entry"] for hook in hooks] == [line.strip() for line in checks.splitlines()]


def _index() -> str:
    return (DECISIONS / "README.md").read_text()
