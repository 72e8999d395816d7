"""What the person who edits the file is told of a mistake: of YAML's syntax, and of a key that belongs somewhere else.

Known are keys under another path, and those of JupyterHub and TLJH.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import yaml

from hubagent.config.kinds.composites import ListOf, Named, Section
from hubagent.config.kinds.scalars import Kind, keys_of
from hubagent.config.kinds.traits import CLASS_PATTERN
from hubagent.config.model import Config
from hubagent.config.tree import Path, Place

_FAMILIAR: Final = {
    "admin": "hub.admins",
    "admin_users": "hub.admins",
    "allowed_users": "hub.signup",
    "auth": "hub.authenticator",
    "authenticator_class": "hub.authenticator",
    "client_max_body_size": "nginx.max_body",
    "cpu": "servers.NAME.cpus",
    "cpu_limit": "servers.NAME.cpus",
    "cull": "hub.stop_idle_after",
    "cull_busy": "hub.keep_busy",
    "culler": "hub.stop_idle_after",
    "db_url": "hub.database",
    "default_app": "hub.landing",
    "default_url": "hub.landing",
    "domain": "host",
    "env": "servers.NAME.environment",
    "hostname": "host",
    "https": "tls",
    "idle_timeout": "hub.stop_idle_after",
    "jupyterhub": "hub",
    "letsencrypt": "tls.mode",
    "limits": "servers.NAME.memory and servers.NAME.cpus",
    "mem_limit": "servers.NAME.memory",
    "notebook_dir": "servers.NAME.home",
    "pids": "servers.NAME.processes",
    "pids_limit": "servers.NAME.processes",
    "port": "host (ports are always 80 and 443)",
    "profiles": "servers",
    "server_name": "host",
    "spawner": "servers",
    "ssl": "tls",
    "user_environment": "servers.NAME",
    "users": "hub.admins",
    "volumes": "servers.NAME.volume and servers.NAME.mounts",
    "worker_shutdown_timeout": "nginx.websocket_drain",
}


@dataclass(frozen=True, slots=True)
class _Hint:
    """What to say when the parser's problem contains these words; `opened` names where it began."""

    words: str
    hint: str
    opened: bool = False


_HINTS: Final = (
    _Hint(
        "mapping values are not allowed",
        "a second ': ' on this line, or a wrong indentation; put the value in quotes or fix the indentation",
    ),
    _Hint(
        "could not find expected ':'",
        "this line has no ':' after its key, or a quote or bracket above is not closed; complete it",
    ),
    _Hint(
        "did not find expected key",
        "this line does not fit what is above it; check the indentation, quotes and brackets",
    ),
    _Hint(
        "unexpected end of stream",
        "the file ends inside a quoted text; close the quote, and check that the file is complete",
        opened=True,
    ),
    _Hint(
        "did not find expected ',' or",
        "a [ or { is not closed, or a comma is missing; complete it",
        opened=True,
    ),
    _Hint("did not find expected node content", "a value is missing here; write it, or close the bracket"),
    _Hint(
        "expected '-' indicator", "a key where the list goes on; start the line with - or fix the indentation"
    ),
    _Hint("block sequence entries", "a list cannot start here; put it on a line of its own, or in [ ]"),
    _Hint(
        "<document start>",
        "the file does not go on as it began; write all keys at the left edge as key: value",
    ),
    _Hint("cannot start any token", "this character needs quotes here; put the value in quotes"),
    _Hint(
        "unknown escape character", "this \\ means nothing in double quotes; write \\\\ or use single quotes"
    ),
    _Hint("escape", "a \\ escape that is not complete; write it out, or use single quotes"),
)


def explain(error: yaml.MarkedYAMLError, text: str) -> tuple[Place, str]:
    """The place and the message for a syntax error in this text."""
    mark = error.problem_mark or error.context_mark
    place = Place(mark.line + 1, mark.column + 1) if mark else Place(1, 1)
    if tab := _tab_in_indentation(text, place.line):
        return tab, "a tab in the indentation; write spaces instead (YAML allows no tabs there)"
    problem = str(error.problem or "cannot be read")
    if "did not find expected ','" in problem and _character(text, place) == ":":
        problem = "mapping values are not allowed"
    for hint in _HINTS:
        if hint.words in problem:
            start = error.context_mark
            opened = f" (it starts on line {start.line + 1})" if hint.opened and start else ""
            return place, hint.hint + opened
    return (
        place,
        f"is not YAML ({problem}); check the indentation, quotes and brackets here and one line above",
    )


def _line(text: str, number: int) -> str:
    lines = re.split(r"\r\n?|\n", text)
    return lines[number - 1] if number <= len(lines) else ""


def _character(text: str, place: Place) -> str:
    return _line(text, place.line)[place.column - 1 : place.column]


def _tab_in_indentation(text: str, line_number: int) -> Place | None:
    """The first tab before the text of this line."""
    line = _line(text, line_number)
    indent = line[: len(line) - len(line.lstrip(" \t"))]
    return Place(line_number, indent.index("\t") + 1) if "\t" in indent else None


def where_it_belongs(path: Path) -> str | None:
    """Where the last key of the path belongs, if that is known and somewhere else."""
    name = str(path[-1])
    homes = [home for home in _homes().get(name, ()) if home.rpartition(".")[0] != _spelled(path[:-1])]
    if len(homes) == 1:
        return f"write it as {homes[0]}"
    if name.lower() in _FAMILIAR:
        return f"write {_FAMILIAR[name.lower()]} instead"
    if re.fullmatch(CLASS_PATTERN, name):
        return f"write it as hub.traits.{name}, if it is a class of JupyterHub"
    return None


def _spelled(path: Path) -> str:
    parts = ["NAME" if index == 1 and path[0] == "servers" else str(part) for index, part in enumerate(path)]
    return ".".join(part for part in parts if not part.isdigit())


@functools.cache
def _homes() -> dict[str, list[str]]:
    """Each known key name with the paths where it is allowed."""
    homes: dict[str, list[str]] = {}
    for path in _paths(Section(Config), ""):
        homes.setdefault(path.rpartition(".")[2], []).append(path)
    return homes


def _paths(kind: Kind, prefix: str) -> Iterator[str]:
    if isinstance(kind, Named):
        yield from _paths(kind.section, f"{prefix}NAME.")
    elif isinstance(kind, ListOf):
        yield from _paths(kind.item, prefix)
    elif isinstance(kind, Section):
        for name, known in keys_of(kind.cls).items():
            yield prefix + name
            yield from _paths(known.kind, f"{prefix}{name}.")
