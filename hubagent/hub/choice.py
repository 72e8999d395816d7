"""Which of several servers a user starts."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NoReturn

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hubagent.hub.start_errors import failure
from hubagent.hub_documents import Servers

OPTION: Final = "server"
"""The only start option; the name of the form's field, too."""

_BODY: Final = frozenset({"display_name", "user_options"})
"""What JupyterHub's own API takes beside the options."""

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


def choice_form(servers: Servers, last: object) -> str:
    """HTML for JupyterHub's spawn page; the field is named `server`. Empty when there is only one: that starts at once.

    `last` is the user's last choice, which is offered again as far as it still exists.
    """
    if len(servers.servers) == 1:
        return ""
    chosen = last if isinstance(last, str) and last in servers.servers else servers.default
    template = _TEMPLATES.get_template("server-choice.html")
    return template.render(servers=servers.servers, chosen=chosen)


def named(servers: Servers, name: object) -> str:
    """The name. Raises SpawnException for a server that does not exist."""
    if not isinstance(name, str) or name not in servers.servers:
        available = ", ".join(sorted(servers.servers))
        message = f"There is no server {str(name)[:100]!r} here; available: {available}."
        raise failure(message, reason="unknown_server", status=400)
    return name


def chosen(servers: Servers, name: object, *, asked_now: Callable[[], bool]) -> str:
    """The name of what to start now. JupyterHub repeats the last options when none are given; a name among those that
    is gone since is no reason to fail, while one that was asked for now is. Raises SpawnException for that."""
    known = isinstance(name, str) and name in servers.servers
    if name is None or (not known and not asked_now()):
        return servers.default
    return named(servers, name)


def certain(servers: Servers, last: object) -> dict[str, str] | None:
    """The start options of whoever would choose the same without being asked: the only server, or the one of last time;
    None where nobody can tell."""
    name = servers.default if len(servers.servers) == 1 else last
    return {OPTION: name} if isinstance(name, str) and name in servers.servers else None


def of_options(servers: Servers, options: Mapping[str, object]) -> dict[str, str]:
    """The start options, as they are stored. Raises SpawnException (400) unless they are a server that exists, or
    none."""
    for name in options:
        if name != OPTION:
            _refuse(servers, f"There is no start option {name[:100]!r} here")
    return {OPTION: named(servers, options[OPTION])} if OPTION in options else {}


def of_form(servers: Servers, form: Mapping[str, list[object]]) -> dict[str, str]:
    """The same from a form or a query, where each option has a list of values."""
    values = form.get(OPTION, [])
    if len(values) > 1:
        _refuse(servers, f"The start option {OPTION!r} is there {len(values)} times")
    return of_options(servers, {name: values[0] if values else None for name, values in form.items()})


def of_body(servers: Servers, body: Mapping[str, object]) -> dict[str, str]:
    """The same from the body of a request to JupyterHub's API: the options themselves, or what it calls
    user_options."""
    if not _BODY & body.keys():
        return of_options(servers, body)
    for name in body.keys() - _BODY:
        _refuse(servers, f"There is no {name[:100]!r} beside user_options")
    options = body.get("user_options")
    return of_options(servers, options) if isinstance(options, dict) else {}  # JupyterHub refuses other types


def _refuse(servers: Servers, problem: str) -> NoReturn:
    available = ", ".join(sorted(servers.servers))
    message = f"{problem}; available: {OPTION!r}, one of {available}."
    raise failure(message, reason="unknown_option", status=400)
