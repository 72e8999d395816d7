"""Test names as cases.py writes them, and the tests themselves."""

from __future__ import annotations

import ast
import functools
from collections.abc import Iterator
from pathlib import Path

from tests.faults.cases import CHAPTERS, Case

ROOT = Path(__file__).parents[2]

_SKIPS = frozenset({"skip", "skipif", "xfail", "importorskip"})


def all_cases() -> tuple[Case, ...]:
    return tuple(case for chapter in CHAPTERS for case in chapter.cases)


def all_tests() -> tuple[str, ...]:
    """Each once, in the order of the cases."""
    return tuple(dict.fromkeys(test for case in all_cases() for test in case.tests))


def node_id(test: str) -> str:
    """As pytest takes it: with the class that the test is in. KeyError when there is no such test, ValueError when
    there are several."""
    file, _, name = test.partition("::")
    (place,) = _index(file)[name]
    return f"{file}::{place}"


def skips(test: str) -> bool:
    """Whether it, its class or its module can be skipped, or is allowed to fail."""
    file, _, name = test.partition("::")
    tree = _tree(file)
    own = [node for place, node in _places(tree) if place.split("::")[-1] == name]
    around = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and any(one in own for one in node.body)
    ]
    marks = [node for node in tree.body if isinstance(node, ast.Assign | ast.Expr)]
    decorators = [decorator for node in around for decorator in node.decorator_list]
    words = {
        word.attr if isinstance(word, ast.Attribute) else word.id
        for node in (*own, *decorators, *marks)
        for word in ast.walk(node)
        if isinstance(word, ast.Attribute | ast.Name)
    }
    return not words.isdisjoint(_SKIPS)


@functools.cache
def _tree(file: str) -> ast.Module:
    return ast.parse((ROOT / file).read_text())


@functools.cache
def _index(file: str) -> dict[str, tuple[str, ...]]:
    """Where in the file each name is: all places, of which there should be one."""
    found: dict[str, tuple[str, ...]] = {}
    for place, _ in _places(_tree(file)):
        name = place.split("::")[-1]
        found[name] = (*found.get(name, ()), place)
    return found


def _places(tree: ast.Module) -> Iterator[tuple[str, ast.FunctionDef | ast.ClassDef]]:
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test"):
            yield node.name, node
        elif isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
            yield node.name, node
            for inner in node.body:
                if isinstance(inner, ast.FunctionDef) and inner.name.startswith("test"):
                    yield f"{node.name}::{inner.name}", inner
