"""How a kernel is kept waiting: the command that waits in place of the kernelspec's, and what it fits."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Final

_HERE: Final = Path(__file__).parent
PYTHON: Final = str(_HERE / "waiting_python.py")
JULIA: Final = str(_HERE / "waiting.jl")
PRECOMPILE: Final = "/opt/hubagent-image/precompile/ijulia.jl"
"""Statements of a real kernel session, recorded when the image was built; an image may have none."""

_EVERYONE: Final = ("LANG", "LANGUAGE", "LC_", "LD_", "MALLOC_", "GLIBC_", "TZ")
_PYTHON_FIXED: Final = (*_EVERYONE, "PYTHON", "PYDEVD_", "IPYTHON_", "TRAITLETS_")
_JULIA_FIXED: Final = (*_EVERYONE, "JULIA_", "OPENBLAS_", "OMP_", "GOTO_", "MKL_", "BLAS_")
_JULIA_LATE: Final = frozenset({"JULIA_DEPOT_PATH", "JULIA_LOAD_PATH", "JULIA_PROJECT"})
_IPYKERNEL: Final = ("ipykernel_launcher", "ipykernel")
_CONNECTION_FILE: Final = "{connection_file}"


class UnknownCommandError(Exception):
    """The kernelspec's command is of no form that can be kept waiting."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A kernel that can wait."""

    prefix: tuple[str, ...]  # what the kernel's command begins with, up to what differs for each kernel
    waiting: tuple[str, ...]  # command that waits; the number of the file to report to comes after it
    arguments: tuple[str, ...]  # what comes after that number
    spec_environment: Mapping[str, str]  # the kernelspec's own
    fixed: tuple[str, ...]  # beginnings of the names of variables that are read only at a process's start
    late: frozenset[str] = frozenset()  # of those, the names that the waiting process reads again
    depot: bool = False  # while it waits, Julia has a depot of its own in the place of the user's

    def environment(self, base: Mapping[str, str]) -> dict[str, str]:
        """What a kernel of this recipe would get that a process with `base` starts (as jupyter_client does)."""
        result = dict(base)
        result.update(
            {key: Template(value).safe_substitute(base) for key, value in self.spec_environment.items()}
        )
        result.pop("PYTHONEXECUTABLE", None)
        result["JPY_PARENT_PID"] = str(os.getpid())
        return result

    def fits(self, command: Sequence[str], started: Mapping[str, str], wanted: Mapping[str, str]) -> bool:
        """Whether a process that waits since it was started with `started` can become this command."""
        return self.begins(command) and self._fixed(started) == self._fixed(wanted)

    def begins(self, command: Sequence[str]) -> bool:
        """Whether this command is of this recipe, whatever its environment."""
        return tuple(command[: len(self.prefix)]) == self.prefix

    def _fixed(self, environment: Mapping[str, str]) -> dict[str, str]:
        return {
            key: value
            for key, value in environment.items()
            if key.startswith(self.fixed) and key not in self.late
        }


def recipe_for(argv: tuple[str, ...], environment: Mapping[str, str]) -> Recipe:
    """How to keep the kernel of this kernelspec waiting. Raises UnknownCommandError."""
    if not argv or _CONNECTION_FILE not in argv:
        raise UnknownCommandError("its command takes no connection file")
    program = _program(argv[0])
    words = (program, *argv[1:])
    for index in range(1, len(words) - 1):
        if words[index] == "-m" and words[index + 1] in _IPYKERNEL:
            return _python(words[:index], words[index + 1], environment)
        if not words[index].startswith("-"):
            break
    if any(word == "-e" or word.endswith(".jl") for word in words):
        return julia(words, environment)
    raise UnknownCommandError("it is neither ipykernel nor Julia")


def _program(name: str) -> str:
    """As jupyter_client has it: `python` means the interpreter of the server."""
    major, minor = sys.version_info[:2]
    if name in {"python", f"python{major}", f"python{major}.{minor}"}:
        return sys.executable
    return str(Path(name).expanduser())


def _python(interpreter: tuple[str, ...], module: str, environment: Mapping[str, str]) -> Recipe:
    return Recipe(
        prefix=(*interpreter, "-m", module),
        waiting=(*interpreter, PYTHON),
        arguments=(module,),
        spec_environment=environment,
        fixed=_PYTHON_FIXED,
        late=frozenset({"PYTHONUSERBASE"}),
    )


def julia(words: tuple[str, ...], environment: Mapping[str, str], precompile: str = PRECOMPILE) -> Recipe:
    """A Julia that runs a script or an expression. Raises UnknownCommandError."""
    end = next(index for index, word in enumerate(words) if word == "-e" or word.endswith(".jl"))
    flags = words[1:end]
    if not all(flag.startswith("--") or flag in {"-i", "-q"} for flag in flags):
        raise UnknownCommandError(f"its options {' '.join(flags)} are not all of the form --name=value")
    prefix = words[: end + 2] if words[end] == "-e" else words[: end + 1]
    if _CONNECTION_FILE in prefix:
        raise UnknownCommandError("its program depends on the connection file")
    package = "IJulia" if any("IJulia" in word for word in prefix[end:]) else ""
    return Recipe(
        prefix=prefix,
        waiting=(words[0], *flags, "-e", "include(popfirst!(ARGS))", JULIA),
        arguments=(package, precompile),
        spec_environment=environment,
        fixed=_JULIA_FIXED,
        late=_JULIA_LATE,
        depot=True,
    )
