"""Which of several servers a user starts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hubagent.hub.failures import failure
from hubagent.hub.servers import ServerDefinition, Servers

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


def choice_form(servers: Servers, last: object) -> str:
    """HTML for JupyterHub's spawn page; the field is named `server`. Empty when there is only one: that starts at once.

    `last` is the user's last choice, which is offered again as far as it still exists.
    """
    if len(servers.definitions) == 1:
        return ""
    chosen = last if isinstance(last, str) and last in servers.definitions else servers.default
    template = _TEMPLATES.get_template("server-choice.html")
    return template.render(definitions=list(servers.definitions.values()), chosen=chosen)


def named(servers: Servers, name: object) -> ServerDefinition:
    """Raises SpawnException for a server that does not exist."""
    definition = servers.definitions.get(name) if isinstance(name, str) else None
    if definition is None:
        available = ", ".join(sorted(servers.definitions))
        message = f"There is no server {str(name)[:100]!r} here; available: {available}."
        raise failure(message, reason="unknown_server", status=400)
    return definition


def chosen(servers: Servers, name: object, *, asked_now: Callable[[], bool]) -> ServerDefinition:
    """What to start now. JupyterHub repeats the last options when none are given; a name among those that is gone
    since is no reason to fail, while one that was asked for now is. Raises SpawnException for that."""
    known = isinstance(name, str) and name in servers.definitions
    if name is None or (not known and not asked_now()):
        return servers.definitions[servers.default]
    return named(servers, name)
