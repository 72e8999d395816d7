"""All that is written as JSON: found in the source, and made up."""

from __future__ import annotations

import dataclasses
import enum
import importlib
import types
import typing
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePath
from typing import Any

from hypothesis import strategies as st

from hubagent.codec import Codec

ROOT = Path(__file__).parents[1]

_TEXT = st.text(max_size=20)
_SCALARS = {
    str: _TEXT,
    bool: st.booleans(),
    int: st.integers(),
    float: st.floats(allow_nan=False, allow_infinity=False),
}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | _TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_TEXT, inner, max_size=3),
    max_leaves=6,
)


def codecs(folder: str, *, without: tuple[str, ...] = ()) -> dict[str, Codec[Any]]:
    """Every codec that a module of this folder makes, by where it is. A module that hides one is an error."""
    found: dict[str, Codec[Any]] = {}
    for path in sorted((ROOT / folder).rglob("*.py")):
        made = path.read_text().count("Codec(") - path.read_text().count("class Codec(")
        if made and not set(without) & set(path.relative_to(ROOT).parts):
            name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
            here = dict(_constants(name))
            assert len(here) >= made, f"{name}: a codec is made elsewhere than in a constant of the module"
            found |= here
    return found


def _constants(module: str) -> Iterator[tuple[str, Codec[Any]]]:
    for name, value in vars(importlib.import_module(module)).items():
        several = value.items() if isinstance(value, Mapping) else [("", value)]
        for key, one in several:
            if isinstance(one, Codec):
                yield f"{module}.{name}{f'[{key}]' if key else ''}", one


def values(kind: Any) -> st.SearchStrategy[Any]:
    """Whatever a field of this annotation may hold."""
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is types.NoneType:
        return st.none()
    if kind is object:
        return JSON
    if isinstance(kind, type) and kind in _SCALARS:
        return _SCALARS[kind]
    if origin in (types.UnionType, typing.Union):
        return st.one_of([values(option) for option in arguments])
    if origin is tuple and arguments[1:] == (...,):
        return st.lists(values(arguments[0]), max_size=3).map(tuple)
    if origin is tuple:
        return st.tuples(*map(values, arguments))
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return st.dictionaries(values(arguments[0]), values(arguments[1]), max_size=3)
    if issubclass(kind, enum.Enum):
        return st.sampled_from(kind)
    if issubclass(kind, PurePath):
        return _TEXT.map(kind)
    hints = typing.get_type_hints(kind)  # without what is annotated
    return st.builds(kind, **{one.name: values(hints[one.name]) for one in dataclasses.fields(kind)})


def places(plain: Any, path: str = "") -> Iterator[tuple[str, Any, Any]]:
    """Of each value in a JSON document: its path as messages spell it, what holds it, and under which key."""
    if isinstance(plain, dict):
        for key, item in ((key, item) for key, item in plain.items() if key):
            here = f"{path}.{key}" if path else key
            yield here, plain, key
            yield from places(item, here)
    elif isinstance(plain, list):
        for index, item in enumerate(plain):
            yield f"{path}[{index}]", plain, index
            yield from places(item, f"{path}[{index}]")
