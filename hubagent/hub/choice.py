"""The form with which a user chooses among several servers."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from hubagent.hub.servers import Servers

_TEMPLATES: Final = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, undefined=StrictUndefined
)


def choice_form(servers: Servers, chosen: str) -> str:
    """HTML for JupyterHub's spawn page; the field is named `server`."""
    template = _TEMPLATES.get_template("server-choice.html")
    return template.render(definitions=list(servers.definitions.values()), chosen=chosen)
