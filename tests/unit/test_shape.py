"""How much a reader has to hold in mind at once: what a class is given, and what a click passes."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "hubagent"

PARAMETERS = 7
"""Of a constructor, without `self`. What is more belongs into a value of its own, such as a room's ports."""

CLICK = 10
"""Modules."""


def test_constructors_are_given_few_things() -> None:
    found = dict(constructors(PACKAGE))
    assert len(found) > 100
    assert {name: count for name, count in found.items() if count > PARAMETERS} == {}


def test_every_kind_of_parameter_counts(tmp_path: Path) -> None:
    text = "class One:\n class Two:\n  def __init__(self, a, /, b, *c, d=1, **e): ...\n"
    (tmp_path / "some.py").write_text(text)
    assert dict(constructors(tmp_path)) == {"some.py: Two": 5}


def test_a_click_passes_few_modules() -> None:
    # In a process of its own: what earlier tests have in memory would not be passed again.
    script = "from tests import walks; print(*walks.click(), sep='\\n')"
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True
    )
    passed = done.stdout.split()
    assert "pool/claims.py" in passed
    assert len(passed) <= CLICK, passed


def constructors(package: Path) -> Iterator[tuple[str, int]]:
    """Every `__init__` that is written out: its file and class, and how many parameters it has."""
    for path in sorted(package.rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.ClassDef):
                continue
            for one in node.body:
                if isinstance(one, ast.FunctionDef) and one.name == "__init__":
                    yield f"{path.relative_to(package)}: {node.name}", _parameters(one.args)


def _parameters(of: ast.arguments) -> int:
    """Without the first, which is `self`."""
    named = [*of.posonlyargs, *of.args, *of.kwonlyargs]
    return len(named) - 1 + sum(one is not None for one in (of.vararg, of.kwarg))
