"""What modules do while they are imported: which environment variables they read, what they import in turn.

A module that is imported before the user is known must not depend on what the user brings. Rather than
guess from the source which ones do, this watches them.
"""

from __future__ import annotations

import builtins
import contextlib
import importlib.util
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import FrameType
from typing import Any, Final

_MODULE_CODE: Final = "<module>"


@dataclass(frozen=True)
class Watch:
    """What was seen."""

    reads: dict[str, set[str]] = field(default_factory=dict)
    """Modules by environment variable, set or not, that they or what they called read at import."""
    imports: dict[str, set[str]] = field(default_factory=dict)
    """Modules by module whose import imports them."""

    def depending_on(self, variables: Sequence[str], prefixes: tuple[str, ...] = ()) -> set[str]:
        """Modules whose import reads one of these variables, or imports a module that does."""
        found = {
            module
            for variable, modules in self.reads.items()
            if variable in variables or variable.startswith(prefixes)
            for module in modules
        }
        size = -1
        while size != len(found):
            size = len(found)
            found |= {module for module, imported in self.imports.items() if imported & found}
        return found


@contextlib.contextmanager
def watching() -> Iterator[Watch]:
    """Watch every import until the block ends."""
    watch = Watch()
    environ: Any = type(os.environ)  # a class of os without a public name; os.getenv goes through it too
    read, names, import_ = environ.__getitem__, environ.__iter__, builtins.__import__
    copied: list[str | bytes] = [""]
    program: Any = builtins

    def recorded_read(self: Mapping[str, str], name: str | bytes) -> str:
        modules = _being_imported(sys._getframe(1)) if name != copied[0] else []
        if modules:
            watch.reads.setdefault(os.fsdecode(name), set()).update(modules)
        value: str = read(self, name)
        return value

    def recorded_names(self: Mapping[str, str]) -> Iterator[str]:
        for name in names(self):
            copied[0] = name  # who goes through all variables has none of them in mind
            yield name
        copied[0] = ""

    def recorded_import(
        name: str,
        globals: Mapping[str, Any] | None = None,  # noqa: A002 - the signature of __import__
        locals: Mapping[str, Any] | None = None,  # noqa: A002
        fromlist: Sequence[str] | None = (),
        level: int = 0,
    ) -> object:
        result = import_(name, globals, locals, fromlist or (), level)
        for module in _being_imported(sys._getframe(1))[:1]:
            watch.imports.setdefault(module, set()).update(_names(name, globals or {}, fromlist or (), level))
        return result

    environ.__getitem__, environ.__iter__ = recorded_read, recorded_names
    program.__import__ = recorded_import
    try:
        yield watch
    finally:
        environ.__getitem__, environ.__iter__, program.__import__ = read, names, import_


def _being_imported(frame: FrameType | None) -> list[str]:
    """The modules whose own code is running, the innermost first; none when that is the program alone."""
    found = []
    while frame is not None:
        if frame.f_code.co_name == _MODULE_CODE:
            found.append(str(frame.f_globals.get("__name__", "")))
        frame = frame.f_back
    return [name for name in found if name != "__main__"]


def _names(name: str, caller: Mapping[str, Any], fromlist: Sequence[str], level: int) -> set[str]:
    """All modules that an import statement made, with the packages that they are in."""
    package = caller.get("__package__") or str(caller.get("__name__", "")).rpartition(".")[0]
    full = importlib.util.resolve_name("." * level + name, package) if level else name
    parents = full.split(".")
    found = {".".join(parents[: count + 1]) for count in range(len(parents))}
    return found | {f"{full}.{item}" for item in fromlist if f"{full}.{item}" in sys.modules}
